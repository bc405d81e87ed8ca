/*
 * What an app can send on its Node channel: lines of any bytes. What is kept of them is bounded, counted
 * right, and read back from a journal as it was.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "daemon/app_talk.h"
#include "daemon/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t bytes_of(const json_t *map)
{
    const char *name;
    json_t *value;
    size_t n = 0;

    json_object_foreach ((json_t *)map, name, value)
        n += strlen(name) + 4 + json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    return n;
}

static void check(const struct app_talk *t)
{
    if (json_object_size(t->actions) > APP_ACTIONS_MAX || json_object_size(t->monitor) > APP_METRICS_MAX ||
        t->bytes > APP_TALK_MAX ||
        t->bytes != bytes_of(t->actions) + bytes_of(t->monitor) + bytes_of(t->options))
        abort();
}

static void tell(const struct app_word *w, const char *line, size_t len)
{
    struct event ev = {.kind = EVENT_MESSAGE,
                       .type = w->type,
                       .data = w->data,
                       .raw = w->whole ? NULL : line,
                       .raw_len = len};
    struct buf out = {0};
    json_t *again;

    event_write(&out, &ev, 1);
    again = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
    if (!again || memchr(out.data, '\n', out.len))
        abort();
    json_decref(again);
    buf_free(&out);
}

static void journal(const struct app_talk *t)
{
    struct app_talk *again = app_talk_new();
    size_t end, read_end;
    int fd = app_journal_new(t, &end);

    if (fd < 0)
        abort();
    app_journal_read(fd, &read_end, again);
    if (read_end != end || !json_equal(again->actions, t->actions) || !json_equal(again->options, t->options))
        abort();
    close(fd);
    app_talk_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *stop = at + size;
    struct app_talk *t = app_talk_new();

    while (at < stop) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        size_t len = (size_t)((end ? end : stop) - at);
        struct app_word w;

        app_word_parse(&w, at, len);
        app_talk_take(t, &w);
        if (w.kind != APP_TOO_LONG)
            tell(&w, at, len);
        app_word_deinit(&w);
        check(t);
        at += len + 1;
    }
    journal(t);
    app_talk_free(t);
    return 0;
}
