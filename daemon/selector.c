#include "daemon/selector.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"

#define REGEX_MAX 256   /* bytes of a pattern */
#define WORDS_MAX 10000 /* of one command: each is compared with every process */

static bool is_id(const char *word, uint32_t *id)
{
    char *end;
    unsigned long n;

    if (*word < '0' || *word > '9')
        return false;
    n = strtoul(word, &end, 10);
    *id = (uint32_t)n;
    return *end == '\0' && n <= UINT32_MAX;
}

static void add(struct selection *sel, struct process *p)
{
    sel->v = xrealloc(sel->v, (sel->n + 1) * sizeof(struct process *));
    sel->v[sel->n++] = p;
}

typedef bool (*match_fn)(const struct process *p, const void *what);

static bool is_any(const struct process *p, const void *what)
{
    (void)p;
    (void)what;
    return true;
}

static bool has_name(const struct process *p, const void *word)
{
    return strcmp(p->app->spec->name, word) == 0;
}

static bool has_name_or_script(const struct process *p, const void *word)
{
    const char *script = p->app->spec->script;

    return has_name(p, word) || (script && strcmp(script, word) == 0);
}

static bool has_namespace(const struct process *p, const void *word)
{
    return p->app->spec->ns && strcmp(p->app->spec->ns, word) == 0;
}

static bool name_fits(const struct process *p, const void *regex)
{
    return regexec(regex, p->app->spec->name, 0, NULL, 0) == 0;
}

static bool add_matching(struct supervisor *s, match_fn match, const void *what, struct selection *sel)
{
    struct process *p;
    size_t before = sel->n;

    TAILQ_FOREACH (p, supervisor_processes(s), entry) {
        if (match(p, what))
            add(sel, p);
    }
    return sel->n > before;
}

static int by_id(const void *a, const void *b)
{
    const struct process *x = *(struct process *const *)a, *y = *(struct process *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_regex(const char *word)
{
    size_t n = strlen(word);

    return n > 2 && word[0] == '/' && word[n - 1] == '/';
}

/* Counted repeats multiply when they are nested, and back-references take exponential time: a pattern of a
 * few bytes could use up all memory or stop the daemon. */
static const char *forbidden(const char *pattern)
{
    for (const char *p = pattern; *p; p++) {
        if (*p == '{')
            return "counted repeats such as a{2} cannot be used";
        if (*p == '\\' && p[1] && isdigit((unsigned char)*++p))
            return "back-references such as \\1 cannot be used";
    }
    return NULL;
}

static int match_regex(struct supervisor *s, const char *word, struct selection *out, struct err *e)
{
    size_t n = strlen(word) - 2;
    char pattern[REGEX_MAX + 1], words[128];
    const char *bad;
    regex_t regex;
    int rc;

    if (n > REGEX_MAX)
        return err_set(e, -EINVAL, "a regular expression has at most %d characters, this one has %zu",
                       REGEX_MAX, n);
    memcpy(pattern, word + 1, n);
    pattern[n] = '\0';
    bad = forbidden(pattern);
    if (bad)
        return err_set(e, -EINVAL, "%s: %s", word, bad);
    rc = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (rc != 0) {
        regerror(rc, &regex, words, sizeof(words));
        return err_set(e, -EINVAL, "%s is not a regular expression: %s", word, words);
    }
    rc = add_matching(s, name_fits, &regex, out);
    regfree(&regex);
    return rc ? 0 : err_set(e, -ENOENT, "no app's name matches %s; pm list shows what there is", word);
}

static int match_word(struct supervisor *s, const char *word, struct selection *out, struct err *e)
{
    struct process *p;
    uint32_t id;

    if (strcmp(word, "all") == 0)
        return add_matching(s, is_any, NULL, out) ? 0 : err_set(e, -ENOENT, "there are no processes");
    if (is_regex(word))
        return match_regex(s, word, out, e);
    if (is_id(word, &id)) {
        if (add_matching(s, has_name, word, out) || add_matching(s, has_namespace, word, out))
            return 0;
        p = supervisor_by_id(s, id);
        if (p) {
            add(out, p);
            return 0;
        }
    } else if (add_matching(s, has_name_or_script, word, out) || add_matching(s, has_namespace, word, out)) {
        return 0;
    }
    return err_set(e, -ENOENT, "no process, app or namespace \"%.100s\"; pm list shows what there is", word);
}

/* In order of id, each once. */
static void tidy(struct selection *sel)
{
    size_t kept = 0;

    if (sel->n > 1)
        qsort(sel->v, sel->n, sizeof(struct process *), by_id);
    for (size_t i = 0; i < sel->n; i++)
        if (kept == 0 || sel->v[kept - 1] != sel->v[i])
            sel->v[kept++] = sel->v[i];
    sel->n = kept;
}

int selector_match(struct supervisor *s, const json_t *words, struct selection *out, struct err *e)
{
    size_t i, tidied = 0;
    json_t *word;
    int rc = 0;

    *out = (struct selection){0};
    if (json_array_size(words) > WORDS_MAX)
        return err_set(e, -EINVAL, "more than %d selectors; all and namespaces take one word", WORDS_MAX);
    json_array_foreach (words, i, word) {
        rc = match_word(s, json_string_value(word), out, e);
        if (rc < 0) {
            selection_free(out);
            return rc;
        }
        if (out->n > 2 * tidied + 1000) { /* the same again and again must not pile up */
            tidy(out);
            tidied = out->n;
        }
    }
    tidy(out);
    return 0;
}

void selection_free(struct selection *sel)
{
    free(sel->v);
    *sel = (struct selection){0};
}
