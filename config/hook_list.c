#include "config/hook_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/diag.h"
#include "config/suggest.h"
#include "config/tree.h"

const char *const hook_words[] = {"start",  "online",   "exit",          "restart", "reload",    "stop",
                                  "delete", "limit",    "overlimit",     "errored", "unhealthy", "healthy",
                                  "watch",  "schedule", "ready_timeout", NULL};

const char *hook_word_find(const char *word)
{
    if (strcmp(word, "memory") == 0)
        word = "limit"; /* the limit that most apps have */
    for (const char *const *w = hook_words; *w; w++)
        if (strcmp(*w, word) == 0)
            return *w;
    return NULL;
}

char *hook_words_list(void)
{
    char *list = xstrdup(hook_words[0]);

    for (const char *const *w = hook_words + 1; *w; w++) {
        char *longer = xasprintf("%s, %s", list, *w);

        free(list);
        list = longer;
    }
    return list;
}

bool hook_is_url(const char *target)
{
    return strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0;
}

int hook_check_target(const char *target, struct err *e)
{
    if (!target[strspn(target, " \t\r\n")])
        return err_set(e, -EINVAL, "expected a command or the URL of a webhook, found nothing");
    if (strlen(target) > HOOK_TARGET_MAX)
        return err_set(e, -EINVAL, "is longer than %d bytes", HOOK_TARGET_MAX);
    if (!hook_is_url(target))
        return 0;
    if (!target[strcspn(target, "/") + 2])
        return err_set(e, -EINVAL, "the URL has no host");
    for (const unsigned char *c = (const unsigned char *)target; *c; c++)
        if (*c <= ' ' || *c == 0x7f || *c == '"' || *c == '\\')
            return err_set(e, -EINVAL,
                           "a URL must not contain blanks, quotes, backslashes or control characters");
    return 0;
}

int hook_check_entry(const char *entry, struct err *e)
{
    const char *target = strchr(entry, '=');
    _cleanup_free_ char *word = target ? xstrndup(entry, (size_t)(target - entry)) : NULL;

    if (!target || !hook_word_find(word))
        return err_set(e, -EINVAL, "expected event=command");
    return hook_check_target(target + 1, e);
}

const char *hook_entry_target(const char *entry, const char *word)
{
    size_t len = strlen(word);

    return strncmp(entry, word, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

static bool unknown_event(const struct tree_node *value, const char *key, struct diag *d)
{
    struct suggestion s = suggestion_start(value->key);
    _cleanup_free_ char *all = hook_words_list();
    char quoted[QUOTE_MAX];

    for (const char *const *w = hook_words; *w; w++)
        suggestion_offer(&s, *w);
    if (s.best)
        diag_error(d, value->key_line, value->key_col, "%s: there is no event %s, did you mean \"%s\"?", key,
                   diag_quote(quoted, value->key), s.best);
    else
        diag_error(d, value->key_line, value->key_col, "%s: there is no event %s; there are %s", key,
                   diag_quote(quoted, value->key), all);
    return false;
}

static bool read_target(const struct tree_node *item, const struct tree_node *value, const char *key,
                        const char *word, char ***list, struct diag *d)
{
    char scratch[QUOTE_MAX + 16];
    struct err e = {0};

    if (item->kind != TREE_STRING) {
        diag_error(d, item->line, item->col,
                   "%s.%s: expected a command or the URL of a webhook (text), or a list of them, found %s",
                   key, value->key, tree_describe(item, scratch));
        return false;
    }
    if (strv_len(*list) >= HOOKS_MAX) {
        diag_error(d, item->line, item->col, "%s: more than %d hooks", key, HOOKS_MAX);
        return false;
    }
    if (hook_check_target(item->text, &e) < 0) {
        diag_error(d, item->line, item->col, "%s.%s: %s", key, value->key, e.msg);
        return false;
    }
    strv_push(list, xasprintf("%s=%s", word, item->text));
    return true;
}

char **hook_list_read(const struct tree_node *map, const char *key, struct diag *d)
{
    char **list = strv_dup(NULL);
    bool ok = true;

    for (const struct tree_node *value = map->first; value; value = value->next) {
        const char *word = hook_word_find(value->key);
        const struct tree_node *item = value->kind == TREE_LIST ? value->first : value;

        ok = (word || unknown_event(value, key, d)) && ok;
        for (; word && item; item = item == value ? NULL : item->next)
            ok = read_target(item, value, key, word, &list, d) && ok;
    }
    if (ok)
        return list;
    strv_free(list);
    return NULL;
}
