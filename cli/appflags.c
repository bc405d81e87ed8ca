#include "cli/appflags.h"

#include <ctype.h>
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
    return (o->type == OPT_PATH || o->type == OPT_LOG_PATH) && strcmp(text, "NULL") != 0 && text[0] != '~';
}

int appflags_apply(const struct args *a, struct app_spec *spec, const char *cwd, struct err *e)
{
    for (size_t i = 0; i < a->n_given; i++) {
        const struct flag *f = a->given[i].flag;
        const struct option_row *o = f->key ? option_find(f->key) : NULL;
        _cleanup_free_ char *text = NULL;

        if (!o || (f->type == FLAG_OPTIONAL && !*a->given[i].value))
            continue;
        if (f->type == FLAG_NUMBERS)
            text = joined(a, f);
        else
            text = xstrdup(f->type == FLAG_BOOL ? f->value : a->given[i].value);
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

/* A name as part of a file name, as the daemon's own log files have it. The caller frees. */
static char *file_word(const char *name)
{
    char *word = xstrdup(name);

    for (char *p = word; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            *p = '-';
    return word;
}

void appflags_finish(const struct args *a, struct app_spec *spec, const char *home)
{
    const char *log = args_text(a, "log");

    if (log && !*log && !spec->log_file) {
        _cleanup_free_ char *word = file_word(spec->name);

        spec->log_file = xasprintf("%s/logs/%s.log", home, word);
    }
    if (spec->time && !spec->log_date_format)
        spec->log_date_format = xstrdup("YYYY-MM-DDTHH:mm:ss");
}
