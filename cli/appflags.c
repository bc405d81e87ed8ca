#include "cli/appflags.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/options.h"

const struct flag *appflags_first(const struct args *a)
{
    for (size_t i = 0; i < a->n_given; i++)
        if (a->given[i].flag->key)
            return a->given[i].flag;
    return NULL;
}

/* All values of a flag that may be given several times, joined by commas. The caller frees. */
static char *joined(const struct args *a, const struct flag *f)
{
    char *all = xstrdup("");

    for (size_t i = 0; i < a->n_given; i++) {
        char *longer;

        if (a->given[i].flag != f)
            continue;
        longer = xasprintf("%s%s%s", all, *all ? "," : "", a->given[i].value);
        free(all);
        all = longer;
    }
    return all;
}

static bool is_path(const struct option_row *o, const char *text)
{
    return (o->type == OPT_PATH || o->type == OPT_LOG_PATH) && strcmp(text, "true") != 0 &&
           strcmp(text, "NULL") != 0 && text[0] != '~';
}

int appflags_apply(const struct args *a, struct app_spec *spec, const char *cwd, struct err *e)
{
    for (size_t i = 0; i < a->n_given; i++) {
        const struct flag *f = a->given[i].flag;
        const struct option_row *o = f->key ? option_by_name(f->key) : NULL;
        _cleanup_free_ char *text = NULL;

        if (!o)
            continue;
        if (f->type == FLAG_NUMBERS)
            text = joined(a, f);
        else
            text = xstrdup(*a->given[i].value || !f->value ? a->given[i].value : f->value);
        if (cwd && is_path(o, text)) {
            char *absolute = fs_absolute(cwd, text);

            free(text);
            text = absolute;
        }
        if (option_set_text(o, spec, text, e) < 0)
            return err_wrap(e, "--%s", f->name);
    }
    return 0;
}
