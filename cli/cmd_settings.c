/* set, get, unset, conf, config, multiset: values that are kept by the daemon under a key. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/autostart.h"
#include "cli/jsonget.h"
#include "cli/session.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"
#include "config/spec.h"

static int set(struct cli *c, const char *key, const char *value)
{
    json_t *params = json_pack("{s:s, s:s}", "key", key, "value", value), *result = NULL;
    int code;

    if (!params)
        return out_error(&c->out, "a setting is valid UTF-8");
    code = session_call(c, "settings.set", params, &result);
    json_decref(result);
    if (code == EXIT_DONE)
        out_say(&c->out, "set %s", key);
    return code;
}

static int unset(struct cli *c, const char *key)
{
    json_t *result = NULL;
    int code = session_call(c, "settings.unset", json_pack("{s:s}", "key", key), &result);

    json_decref(result);
    if (code == EXIT_DONE)
        out_say(&c->out, "removed %s", key);
    return code;
}

static int unset_all(struct cli *c)
{
    json_t *result = NULL, *value;
    const char *key;
    int code = session_call(c, "settings.get", NULL, &result);

    json_object_foreach (json_object_get(result, "settings"), key, value)
        if (code == EXIT_DONE)
            code = unset(c, key);
    json_decref(result);
    return code;
}

static int get(struct cli *c, const struct args *a, const char *key)
{
    json_t *result = NULL;
    int code = session_call(c, "settings.get", json_pack("{s:s}", "key", key), &result);

    if (code == EXIT_DONE && args_has(a, "json")) {
        json_dumpf(json_object_get(result, "value"), stdout, JSON_ENCODE_ANY);
        putchar('\n');
    } else if (code == EXIT_DONE) {
        puts(j_text(result, "value"));
    }
    json_decref(result);
    return code;
}

static int print_all(struct cli *c, const struct args *a)
{
    json_t *result = NULL, *all, *value;
    const char *key;
    int code = session_call(c, "settings.get", NULL, &result);

    all = json_object_get(result, "settings");
    if (code == EXIT_DONE && args_has(a, "json")) {
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        putchar('\n');
    } else if (code == EXIT_DONE) {
        json_object_foreach (all, key, value) {
            _cleanup_free_ char *name = text_clean_dup(key);
            _cleanup_free_ char *masked = env_mask(key, j_text(all, key));
            _cleanup_free_ char *text = text_clean_dup(masked ? masked : j_text(all, key));

            printf("%s = %s\n", name, text);
        }
        if (json_object_size(all) == 0)
            out_note(&c->out, "there are no settings; pm set KEY VALUE makes one");
    }
    json_decref(result);
    return code;
}

/* "k v k v", in one word or in several. */
static int multiset(struct cli *c, const struct args *a)
{
    char **words = xcalloc(1, sizeof(*words));
    size_t n = 0;
    int code = EXIT_DONE;

    for (size_t i = 0; i < a->n_words; i++) {
        _cleanup_free_ char *copy = xstrdup(a->words[i]);
        char *save = NULL;

        for (char *w = strtok_r(copy, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save), n++)
            strv_push(&words, xstrdup(w));
    }
    if (n % 2) {
        out_error(&c->out, "multiset wants keys and values in turn; \"%s\" has no value", words[n - 1]);
        code = EXIT_USAGE;
    }
    for (size_t i = 0; i + 1 < n && code == EXIT_DONE; i += 2)
        code = set(c, words[i], words[i + 1]);
    strv_free(words);
    return code;
}

int cmd_settings(struct cli *c, const struct args *a)
{
    const char *command = a->command->name;
    bool is_config = strcmp(command, "config") == 0;

    if (!c->connected && autostart_connect(c) != SESSION_OK)
        return EXIT_FAILED;
    if (strcmp(command, "multiset") == 0)
        return multiset(c, a);
    if (strcmp(command, "unset") == 0)
        return strcmp(a->words[0], "all") == 0 ? unset_all(c) : unset(c, a->words[0]);
    if (a->n_words == 2 && (is_config || strcmp(command, "set") == 0))
        return set(c, a->words[0], a->words[1]);
    if (a->n_words == 1)
        return get(c, a, a->words[0]);
    return print_all(c, a);
}
