#include "daemon/app_talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"

static const struct {
    const char *type;
    enum app_word_kind kind;
} types[] = {
    {"axm:monitor", APP_MONITOR}, {"axm:action", APP_ACTION},
    {"axm:option", APP_OPTION},   {"axm:option:configuration", APP_OPTION}, /* what @pm2/io sends */
    {"axm:reply", APP_REPLY},     {"process:exception", APP_EXCEPTION},
    {"human:event", APP_HUMAN},
};

/* Scalars and NUL bytes are things that JSON.stringify writes; so are integers beyond 64 bits, which become
 * reals. */
static json_t *parse(const char *line, size_t len)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t e;
    json_t *j = json_loadb(line, len, flags, &e);

    if (!j && json_error_code(&e) == json_error_numeric_overflow)
        j = json_loadb(line, len, flags | JSON_DECODE_INT_AS_REAL, &e);
    return j;
}

static bool too_deep(const char *line, size_t len)
{
    unsigned depth = 0;
    bool text = false;

    for (size_t i = 0; i < len && depth <= APP_DEPTH_MAX; i++) {
        if (text && line[i] == '\\')
            i++;
        else if (line[i] == '"')
            text = !text;
        else if (!text && (line[i] == '{' || line[i] == '['))
            depth++;
        else if (!text && depth > 0 && (line[i] == '}' || line[i] == ']'))
            depth--;
    }
    return depth > APP_DEPTH_MAX;
}

void app_word_parse(struct app_word *w, const char *line, size_t len)
{
    *w = (struct app_word){.kind = len > APP_LINE_MAX ? APP_TOO_LONG : APP_RAW};
    if (w->kind == APP_RAW && !too_deep(line, len))
        w->whole = parse(line, len);
    if (!w->whole)
        return;
    w->kind = APP_MESSAGE;
    w->data = w->whole;
    w->type = json_string_value(json_object_get(w->whole, "type"));
    if (!w->type)
        return;
    w->data = json_object_get(w->whole, "data");
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(w->type, types[i].type) == 0)
            w->kind = types[i].kind;
}

void app_word_deinit(struct app_word *w)
{
    json_decref(w->whole);
    w->whole = NULL;
}

struct app_talk *app_talk_new(void)
{
    struct app_talk *t = xcalloc(1, sizeof(*t));

    t->actions = json_object();
    t->monitor = json_object();
    t->options = json_object();
    return t;
}

void app_talk_free(struct app_talk *t)
{
    if (!t)
        return;
    json_decref(t->actions);
    json_decref(t->monitor);
    json_decref(t->options);
    free(t);
}

static size_t cost(const char *name, const json_t *value)
{
    return value ? strlen(name) + 4 + json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) : 0;
}

/* True when the map is another one then. */
static bool put(struct app_talk *t, json_t *map, size_t max, const char *name, const json_t *value)
{
    const json_t *old = json_object_get(map, name);
    size_t before = cost(name, old), after = cost(name, value);

    if (old && json_equal(old, value))
        return false;
    if (strlen(name) > APP_NAME_MAX || (!old && json_object_size(map) >= max) ||
        t->bytes - before + after > APP_TALK_MAX) {
        t->refused++;
        return false;
    }
    if (json_object_set(map, name, (json_t *)value) < 0)
        return false;
    t->bytes += after - before;
    return true;
}

static bool take_action(struct app_talk *t, const json_t *data)
{
    const json_t *name = json_object_get(data, "action_name");
    const char *text = json_string_value(name);

    if (!text || !*text || strlen(text) != json_string_length(name))
        return false;
    return put(t, t->actions, APP_ACTIONS_MAX, text, data);
}

bool app_talk_take(struct app_talk *t, const struct app_word *w)
{
    bool options = w->kind == APP_OPTION, changed = false;
    const char *name;
    json_t *value;

    if (w->kind == APP_ACTION)
        return take_action(t, w->data);
    if (w->kind != APP_MONITOR && !options)
        return false;
    json_object_foreach ((json_t *)w->data, name, value)
        changed |= put(t, options ? t->options : t->monitor, APP_METRICS_MAX, name, value);
    return changed && options;
}

bool app_talk_has_action(const struct app_talk *t, const char *name)
{
    return t && json_object_get(t->actions, name);
}

char *app_talk_actions(const struct app_talk *t)
{
    struct buf b = {0};
    const char *name;
    json_t *value;

    if (!t || json_object_size(t->actions) == 0)
        return xstrdup("none");
    json_object_foreach (t->actions, name, value)
        buf_printf(&b, "%s%s", b.len ? ", " : "", name);
    return buf_steal(&b);
}

static int write_all(int fd, const char *data, size_t len, size_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        len -= (size_t)n;
        at += (size_t)n;
    }
    return 0;
}

int app_journal_add(int fd, size_t *end, const char *line, size_t len)
{
    /* The line break comes last: it makes the line count. */
    int rc = write_all(fd, line, len, *end);

    if (rc == 0)
        rc = write_all(fd, "\n", 1, *end + len);
    if (rc == 0)
        *end += len + 1;
    return rc;
}

void app_journal_read(int fd, size_t *end, struct app_talk *t)
{
    struct stat st;
    char *data;

    *end = 0;
    if (fstat(fd, &st) < 0 || st.st_size <= 0)
        return;
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return;
    for (;;) {
        const char *line = data + *end, *stop = memchr(line, '\n', (size_t)st.st_size - *end);
        struct app_word w;

        if (!stop)
            break;
        app_word_parse(&w, line, (size_t)(stop - line));
        app_talk_take(t, &w);
        app_word_deinit(&w);
        *end = (size_t)(stop - data) + 1;
    }
    munmap(data, (size_t)st.st_size);
}

static int add_message(int fd, size_t *end, const char *type, const json_t *data)
{
    json_t *message = json_pack("{s:s,s:O}", "type", type, "data", data);
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    int rc = text ? app_journal_add(fd, end, text, strlen(text)) : -ENOMEM;

    free(text);
    json_decref(message);
    return rc;
}

int app_journal_new(const struct app_talk *t, size_t *end)
{
    int fd = memfd_create("pm-talk", MFD_CLOEXEC), rc = 0;
    const char *name;
    json_t *action;

    if (fd < 0)
        return -errno;
    *end = 0;
    if (json_object_size(t->options))
        rc = add_message(fd, end, "axm:option", t->options);
    json_object_foreach (t->actions, name, action) {
        if (rc == 0)
            rc = add_message(fd, end, "axm:action", action);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}
