/* What each type of value expects, and values from text. */
#include "config/option_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cron.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/option_fields.h"
#include "config/values.h"

/* Which kinds of values a type takes, and the words for it in "expected ...". */
static const struct {
    unsigned kinds;
    const char *expected;
} types[OPT_TYPE_COUNT] = {
    [OPT_STRING] = {TEXTS, "text"},
    [OPT_ENUM] = {KIND(TREE_STRING), "one of a few words"},
    [OPT_BOOL] = {KIND(TREE_BOOL), "true or false"},
    [OPT_INT] = {KIND(TREE_INT), "a whole number"},
    [OPT_DURATION] = {NUMBERS, "a duration such as \"500ms\", \"10s\", \"2m\", \"2h\", or a number of ms"},
    [OPT_SIZE] = {NUMBERS, "a size such as \"512K\", \"100M\", \"1G\", or a number of bytes"},
    [OPT_SIGNAL] = {NUMBERS, "a signal such as SIGTERM, or its number"},
    [OPT_INSTANCES] = {NUMBERS, "a whole number or \"max\""},
    [OPT_WORDS] = {TEXTS | KIND(TREE_LIST), "text or a list of texts"},
    [OPT_EXIT_CODES] = {KIND(TREE_INT) | KIND(TREE_LIST), "an exit code or a list of them"},
    [OPT_PATH] = {TEXTS, "a path"},
    [OPT_LOG_PATH] = {TEXTS, "a path"},
    [OPT_USER] = {NUMBERS, "a name or a number"},
    [OPT_PORT] = {NUMBERS, "a port number"},
    [OPT_FILTER] = {KIND(TREE_BOOL) | KIND(TREE_STRING) | KIND(TREE_LIST), "true, text or a list of texts"},
    [OPT_WATCH] = {KIND(TREE_BOOL) | KIND(TREE_STRING) | KIND(TREE_LIST),
                   "true, false, a path or a list of paths"},
    [OPT_TEXTS] = {TEXTS | KIND(TREE_LIST), "text or a list of texts"},
    [OPT_CRON] = {TEXTS | KIND(TREE_BOOL), "a time of 5 or 6 fields such as \"0 4 * * *\", or 0 for none"},
    [OPT_COUNT] = {NUMBERS, "a whole number or \"all\""},
    [OPT_ADDRESS] = {TEXTS, "a port or host:port"},
    [OPT_MODE] = {NUMBERS, "permissions in octal such as \"0660\""},
    [OPT_LIST] = {KIND(TREE_MAP) | KIND(TREE_LIST), "a list of mappings"},
    [OPT_HOOKS] = {KIND(TREE_MAP), "a mapping of events to commands or URLs"},
    [OPT_GROUP] = {KIND(TREE_MAP), "a mapping"},
    [OPT_MAP] = {KIND(TREE_MAP), "a mapping"},
    [OPT_ENV] = {KIND(TREE_MAP), "a mapping of variables"},
    [OPT_ANY] = {~0u, "anything"},
};

unsigned opt_type_kinds(enum opt_type type)
{
    return types[type].kinds;
}

const char *opt_type_expected(enum opt_type type)
{
    return types[type].expected;
}

/* "a mapping of lines, bytes, or a whole number" */
static const char *group_expected(const struct option_group *g, char out[EXPECTED_MAX])
{
    const struct option_row *shorthand = option_group_shorthand(g);
    size_t n = 0;

    if (g->text_expected) {
        snprintf(out, EXPECTED_MAX, "%s, a mapping, or a list of them", g->text_expected);
        return out;
    }
    for (size_t i = 0; i < g->n && n < EXPECTED_MAX; i++)
        n += (size_t)snprintf(out + n, EXPECTED_MAX - n, "%s%s", i ? ", " : "a mapping of ", g->rows[i].name);
    if (shorthand && n < EXPECTED_MAX)
        snprintf(out + n, EXPECTED_MAX - n, ", or %s", opt_type_expected(shorthand->type));
    return out;
}

const char *option_expected(const struct option_row *o, char out[EXPECTED_MAX])
{
    size_t n = 0;

    if (o->type == OPT_GROUP || o->type == OPT_LIST)
        return group_expected(o->group, out);
    if (o->type != OPT_ENUM)
        return opt_type_expected(o->type);
    for (const char *const *word = o->words; *word && n < EXPECTED_MAX; word++)
        n += (size_t)snprintf(out + n, EXPECTED_MAX - n, "%s\"%s\"", word == o->words ? "" : " or ", *word);
    return out;
}

/* Kinds of numbers that are not stored as they are read. -EDOM: the text is not of the type at all. */
static int parse_number(const struct option_row *o, const char *text, int64_t *n, struct err *e)
{
    bool ok = false;

    switch (o->type) {
    case OPT_DURATION:
        ok = value_duration(text, n);
        break;
    case OPT_SIZE:
        ok = value_size(text, n);
        break;
    case OPT_SIGNAL:
        ok = value_signal(text, n);
        break;
    case OPT_INSTANCES:
        ok = value_int(text, n);
        if (!ok && strcmp(text, "max") == 0) {
            *n = 0;
            ok = true;
        }
        break;
    case OPT_MODE:
        ok = value_mode(text, n);
        break;
    case OPT_COUNT:
        if (strcmp(text, "all") == 0) {
            *n = o->max;
            return 0;
        }
        ok = value_int(text, n);
        break;
    default:
        ok = value_int(text, n);
    }
    return ok ? option_check_int(o, *n, e) : -EDOM;
}

static int set_number(const struct option_row *o, void *base, const char *text, struct err *e)
{
    int64_t n = 0;
    int r = parse_number(o, text, &n, e);

    if (r == 0 && o->store == STORE_INT)
        *(int64_t *)option_field(o, base) = n;
    if (r == 0)
        option_mark_given(o, base);
    return r;
}

static int set_string(const struct option_row *o, void *base, const char *text, struct err *e)
{
    char *copy = xstrdup(text), **field;
    size_t len = strlen(copy);
    int r;

    if (o->type == OPT_ENUM && len > 5 && strcmp(copy + len - 5, "_mode") == 0)
        copy[len - 5] =
            '\0'; /* PM2 shows the modes as fork_mode and cluster_mode, so people write them too */
    if (o->type == OPT_LOG_PATH && strcmp(copy, "NULL") == 0) {
        free(copy);
        copy = xstrdup("/dev/null");
    }
    r = option_check_text(o, copy, e);
    if (r == 0 && o->store == STORE_STRING) {
        field = option_field(o, base);
        free(*field);
        *field = copy;
        copy = NULL; /* taken */
    }
    free(copy);
    return r;
}

static int set_words(const struct option_row *o, void *base, const char *text, struct err *e)
{
    char **words = value_split(text);

    if (!words)
        return err_set(e, -EINVAL, "a quote or backslash is left open");
    strv_free(*(char ***)option_field(o, base));
    *(char ***)option_field(o, base) = words;
    return 0;
}

void option_push_code(struct int_list *list, int code)
{
    list->v = xrealloc(list->v, (list->n + 1) * sizeof(int));
    list->v[list->n++] = code;
}

static int set_exit_codes(const struct option_row *o, void *base, const char *text, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(text);
    struct int_list codes = {0}, *field = option_field(o, base);
    char *rest = copy, *word;
    int64_t n = 0;
    int r = 0;

    while (r == 0 && (word = strsep(&rest, ", ")) != NULL) {
        if (!*word)
            continue;
        r = value_int(word, &n) ? option_check_int(o, n, e) : -EDOM;
        if (r == 0)
            option_push_code(&codes, (int)n);
    }
    if (r == 0) {
        struct int_list old = *field;

        *field = codes;
        codes = old;
    }
    free(codes.v);
    return r;
}

static int set_filter(const struct option_row *o, void *base, const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char **items = NULL, *rest = copy, *item, ***field = option_field(o, base);

    if (strcasecmp(text, "true") == 0) {
        strv_push(&items, xstrdup("")); /* contained in every name */
    } else if (strcasecmp(text, "false") != 0) {
        while ((item = strsep(&rest, ", \t\n")) != NULL)
            if (*item)
                strv_push(&items, xstrdup(item));
        if (!items)
            return -EDOM;
    }
    strv_free(*field);
    *field = items ? items : strv_dup(NULL);
    return 0;
}

/* One a line. Of OPT_WATCH, true is the folder of the app and false nothing. */
static int set_texts(const struct option_row *o, void *base, const char *text, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char **items = NULL, *rest = copy, *item, ***field = option_field(o, base);
    bool watch = o->type == OPT_WATCH;

    while ((item = strsep(&rest, "\n")) != NULL) {
        if (watch && strcasecmp(item, "true") == 0)
            strv_push(&items, xstrdup("."));
        else if (*item && !(watch && strcasecmp(item, "false") == 0))
            strv_push(&items, xstrdup(item));
    }
    if (!*text)
        return err_set(e, -EINVAL, "must not be empty");
    strv_free(*field);
    *field = items ? items : strv_dup(NULL);
    return 0;
}

/* Fields are counted only: what they mean is the matter of who acts on them. */
static int check_cron(const char *text, struct err *e)
{
    struct cron c;

    if (strcmp(text, "0") == 0 || strcasecmp(text, "false") == 0)
        return 0;
    return cron_parse(text, &c, e);
}

/* One entry a line, each as a plain value. */
static int set_list(const struct option_row *o, void *base, const char *text, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *line;
    struct option_list l;
    unsigned at;
    int r = 0;

    if (!o->group->from_text)
        return -EDOM;
    option_list_clear(o, base);
    while (r == 0 && (line = strsep(&rest, "\n")) != NULL) {
        void *entry = option_list_add(o, base);

        r = entry ? o->group->from_text(entry, line, e)
                  : err_set(e, -EINVAL, "more than %d entries", OPTION_LIST_MAX);
    }
    l = option_list_get(o, base);
    if (r == 0 && o->group->complete)
        r = o->group->complete(l.v, l.n, &at, e);
    if (r < 0)
        option_list_clear(o, base);
    return r;
}

/* 0, -EINVAL with a message, or -EDOM without one when the text is not of the type. */
int option_try_text(const struct option_row *o, void *base, const char *text, struct err *e)
{
    const struct option_row *shorthand;
    int r;

    switch (o->type) {
    case OPT_STRING:
    case OPT_ENUM:
    case OPT_PATH:
    case OPT_LOG_PATH:
    case OPT_USER:
    case OPT_ADDRESS:
        return set_string(o, base, text, e);
    case OPT_INT:
    case OPT_DURATION:
    case OPT_SIZE:
    case OPT_SIGNAL:
    case OPT_INSTANCES:
    case OPT_PORT:
    case OPT_COUNT:
    case OPT_MODE:
        return set_number(o, base, text, e);
    case OPT_BOOL:
        if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
            return -EDOM;
        if (o->store == STORE_BOOL)
            *(bool *)option_field(o, base) = strcasecmp(text, "true") == 0;
        option_mark_given(o, base);
        return 0;
    case OPT_WORDS:
        return set_words(o, base, text, e);
    case OPT_EXIT_CODES:
        return set_exit_codes(o, base, text, e);
    case OPT_FILTER:
        return set_filter(o, base, text);
    case OPT_CRON:
        r = check_cron(text, e);
        return r < 0 ? r : set_string(o, base, text, e);
    case OPT_WATCH:
    case OPT_TEXTS:
        return set_texts(o, base, text, e);
    case OPT_ANY:
        return 0;
    case OPT_GROUP:
        shorthand = option_group_shorthand(o->group);
        if (shorthand)
            option_mark_given(o, base);
        return shorthand ? option_try_text(shorthand, option_field(o, base), text, e) : -EDOM;
    case OPT_LIST:
        return set_list(o, base, text, e);
    case OPT_HOOKS:
    case OPT_MAP:
    case OPT_ENV:
    case OPT_TYPE_COUNT:
        break;
    }
    return -EDOM;
}

int option_set_text(const struct option_row *o, void *base, const char *text, struct err *e)
{
    char quoted[QUOTE_MAX], expected[EXPECTED_MAX];
    int r = option_try_text(o, base, text, e);

    if (r != -EDOM)
        return r;
    return err_set(e, -EINVAL, "expected %s, found %s", option_expected(o, expected),
                   diag_quote(quoted, text));
}
