#include "daemon/hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/hook_list.h"
#include "config/values.h"

struct hook_rate {
    TAILQ_ENTRY(hook_rate) entry; /* the one that was used last is the last */
    char *app;
    const char *word;
    uint64_t at[HOOK_RATE_MAX]; /* when the last ones ran, as a ring */
    unsigned next;              /* the oldest of them */
    unsigned n;
    uint64_t used_ms, skipped;
};

static void rate_free(struct hook_rates *rates, struct hook_rate *r)
{
    TAILQ_REMOVE(rates, r, entry);
    free(r->app);
    free(r);
}

void hook_rates_clear(struct hook_rates *rates)
{
    while (!TAILQ_EMPTY(rates))
        rate_free(rates, TAILQ_FIRST(rates));
}

static struct hook_rate *rate_of(struct hook_rates *rates, const char *app, const char *word, uint64_t now_ms)
{
    struct hook_rate *r, *next;
    unsigned n = 0;

    for (r = TAILQ_FIRST(rates); r; r = next) {
        next = TAILQ_NEXT(r, entry);
        if (strcmp(r->word, word) == 0 && strcmp(r->app, app) == 0) {
            TAILQ_REMOVE(rates, r, entry);
            TAILQ_INSERT_TAIL(rates, r, entry);
            return r;
        }
        if (r->skipped == 0 && now_ms - r->used_ms > HOOK_RATE_MS)
            rate_free(rates, r);
        else
            n++;
    }
    if (n >= HOOK_RATES_MAX)
        rate_free(rates, TAILQ_FIRST(rates));
    r = xcalloc(1, sizeof(*r));
    r->app = xstrdup(app);
    r->word = word;
    TAILQ_INSERT_TAIL(rates, r, entry);
    return r;
}

bool hook_rate_take(struct hook_rates *rates, const char *app, const char *word, uint64_t now_ms,
                    uint64_t *skipped)
{
    struct hook_rate *r = rate_of(rates, app, word, now_ms);

    *skipped = 0;
    r->used_ms = now_ms;
    if (r->n == HOOK_RATE_MAX && now_ms - r->at[r->next] < HOOK_RATE_MS) {
        r->skipped++;
        return false;
    }
    r->at[r->next] = now_ms;
    r->next = (r->next + 1) % HOOK_RATE_MAX;
    if (r->n < HOOK_RATE_MAX)
        r->n++;
    *skipped = r->skipped;
    r->skipped = 0;
    return true;
}

char *hook_event_json(const char *json, size_t len, uint64_t skipped)
{
    if (!skipped || len < 3)
        return xstrndup(json, len);
    return xasprintf("%.*s,\"skipped\":%llu}", (int)(len - 1), json, (unsigned long long)skipped);
}

void hook_tail_add(struct hook_tail *t, const char *data, size_t len)
{
    size_t over;

    if (len > HOOK_TAIL_MAX) {
        data += len - HOOK_TAIL_MAX;
        len = HOOK_TAIL_MAX;
    }
    over = t->len + len > HOOK_TAIL_MAX ? t->len + len - HOOK_TAIL_MAX : 0;
    memmove(t->text, t->text + over, t->len - over);
    t->len -= over;
    memcpy(t->text + t->len, data, len);
    t->len += len;
}

const char *hook_tail_last(struct hook_tail *t)
{
    size_t begin;

    while (t->len && (unsigned char)t->text[t->len - 1] <= ' ')
        t->len--;
    t->text[t->len] = '\0';
    for (begin = t->len; begin && t->text[begin - 1] != '\n';)
        begin--;
    for (size_t i = begin; i < t->len; i++)
        if ((unsigned char)t->text[i] < ' ' || t->text[i] == 0x7f)
            t->text[i] = ' ';
    return t->text + begin;
}

char *hook_target_words(const char *target)
{
    const char *host, *at;
    size_t len;

    if (!hook_is_url(target))
        return xasprintf("\"%.*s%s\"", (int)strcspn(target, "\r\n") > 80 ? 80 : (int)strcspn(target, "\r\n"),
                         target, strcspn(target, "\r\n") > 80 || strpbrk(target, "\r\n") ? "..." : "");
    host = strstr(target, "://") + 3;
    len = strcspn(host, "/?#");
    at = memrchr(host, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    return xasprintf("%.*s%.*s", (int)(strstr(target, "://") + 3 - target), target, (int)len, host);
}

static int check_timeout(const char *value, struct err *e)
{
    int64_t ms;

    if (!value_duration(value, &ms) || ms < 1000 || ms > 600000)
        return err_set(e, -EINVAL, "expected a duration from \"1s\" to \"10m\"");
    return 0;
}

int hook_check_setting(const char *key, const char *value, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(value), *words = NULL;
    char *rest = copy, *line;
    const char *word;
    int r = 0;

    if (strcmp(key, HOOK_TIMEOUT_KEY) == 0)
        return check_timeout(value, e);
    word = hook_word_find(key + strlen(HOOK_SETTINGS));
    words = hook_words_list();
    if (!word)
        return err_set(e, -EINVAL, "there is no such event; there are %s; and hooks:timeout", words);
    if (strcmp(word, key + strlen(HOOK_SETTINGS)) != 0)
        return err_set(e, -EINVAL, "the event is called %s here: %s%s", word, HOOK_SETTINGS, word);
    while (r == 0 && (line = strsep(&rest, "\n")) != NULL)
        r = hook_check_target(line, e);
    return r;
}

int64_t hook_timeout(const json_t *settings)
{
    const char *text = json_string_value(json_object_get(settings, HOOK_TIMEOUT_KEY));
    int64_t ms;

    return text && value_duration(text, &ms) ? ms : HOOK_TIMEOUT_MS;
}

void hook_each_target(char *const *on, const json_t *settings, const char *word,
                      void (*each)(void *arg, const char *target, bool of_app), void *arg)
{
    _cleanup_free_ char *key = xasprintf("%s%s", HOOK_SETTINGS, word);
    _cleanup_free_ char *all = xstrdup(json_string_value(json_object_get(settings, key)));
    char *rest = all, *line;

    for (; on && *on; on++)
        if (hook_entry_target(*on, word))
            each(arg, hook_entry_target(*on, word), true);
    while (rest && (line = strsep(&rest, "\n")) != NULL)
        if (*line)
            each(arg, line, false);
}
