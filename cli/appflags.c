#include "cli/appflags.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/options.h"
#include "config/path.h"

/* All values of a flag that may be given several times, with this between them. The caller frees. */
static char *joined(const struct args *a, const struct flag *f, const char *between)
{
    char *all = xstrdup("");
    const char *value;

    for (size_t i = 0; i < a->n_given; i++) {
        char *longer;

        if (a->given[i].flag != f)
            continue;
        value = *a->given[i].value || !f->value ? a->given[i].value : f->value;
        longer = xasprintf("%s%s%s", all, *all ? between : "", value);
        free(all);
        all = longer;
    }
    return all;
}

/* Each value given is an entry of its own. */
static bool is_list(const struct option_row *o)
{
    return o->type == OPT_LIST || o->type == OPT_WATCH || o->type == OPT_TEXTS;
}

/* "4" of a flag whose plain numbers are seconds becomes "4s". */
static char *with_unit(const struct flag *f, const char *value)
{
    bool plain = f->unit && *value && strspn(value, "0123456789.") == strlen(value);

    return plain ? xasprintf("%s%s", value, f->unit) : xstrdup(value);
}

static bool is_path(const struct option_row *o, const char *text)
{
    return (o->type == OPT_PATH || o->type == OPT_LOG_PATH) && strcmp(text, "NULL") != 0;
}

int appflags_apply(const struct args *a, struct app_spec *spec, const char *cwd, struct err *e)
{
    for (size_t i = 0; i < a->n_given; i++) {
        const struct flag *f = a->given[i].flag;
        const struct option_row *o = f->key ? option_find(f->key) : NULL;
        _cleanup_free_ char *text = NULL;

        if (!o || (f->type == FLAG_OPTIONAL && !*a->given[i].value && !f->value))
            continue;
        if (f->type == FLAG_NUMBERS)
            text = joined(a, f, ",");
        else if (is_list(o))
            text = joined(a, f, "\n");
        else
            text = with_unit(f, f->type == FLAG_BOOL ? f->value : a->given[i].value);
        if (cwd && is_path(o, text)) {
            _cleanup_free_ char *at_home = path_expand_home(environ, text);
            char *absolute = fs_absolute(cwd, at_home);

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

    if (log && !*log && !spec->log_file && spec->name) {
        _cleanup_free_ char *word = file_word(spec->name);

        spec->log_file = xasprintf("%s/logs/%s.log", home, word);
    }
    if (spec->time && !spec->log_date_format)
        spec->log_date_format = xstrdup("YYYY-MM-DDTHH:mm:ss");
}

/* Keys of the flags that a restart changes; how many processes there are is changed by scaling. */
static const struct option_row *set_row(const struct given_flag *g)
{
    const struct option_row *o = g->flag->key ? option_find(g->flag->key) : NULL;

    if (!o || o->local || o->store == STORE_NONE || strcmp(o->name, "instances") == 0)
        return NULL;
    return o;
}

static void set_key(json_t *set, const struct app_spec *spec, const char *key)
{
    const struct option_row *o = option_by_name(key);

    json_object_set_new(set, o->name, app_spec_key_to_json(spec, o));
}

json_t *appflags_to_set(const struct args *a, const char *cwd, const char *name, const char *home,
                        struct err *e)
{
    struct app_spec *spec = app_spec_new();
    json_t *set = json_object();
    const char *log = args_text(a, "log");
    int rc = appflags_apply(a, spec, cwd, e);

    if (rc == 0 && spec->cwd && !path_is_folder(spec->cwd))
        rc = err_set(e, -EINVAL, "--cwd: there is no folder %s", spec->cwd);
    if (rc == 0 && log && !*log && !name)
        rc = err_set(e, -EINVAL, "--log without a file is for one app; give it the file");
    if (rc == 0) {
        free(spec->name);
        spec->name = name ? xstrdup(name) : NULL;
        appflags_finish(a, spec, home);
        for (size_t i = 0; i < a->n_given; i++)
            if (set_row(&a->given[i]))
                set_key(set, spec, set_row(&a->given[i])->name);
        if (args_has(a, "time"))
            set_key(set, spec, "log_date_format");
        for (size_t i = 0; i < a->n_rest; i++)
            strv_push(&spec->args, xstrdup(a->rest[i]));
        if (a->n_rest)
            set_key(set, spec, "args");
    }
    app_spec_free(spec);
    if (rc == 0)
        return set;
    json_decref(set);
    return NULL;
}
