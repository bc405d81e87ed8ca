#include "cli/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/jsonget.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/buf.h"
#include "common/mem.h"
#include "config/spec.h"

#define LABEL_COLUMN 24

enum kind { TEXT, NUMBER, SPAN, SIZE, TIME, UPTIME, STATUS, PERCENT };

/* Rows that are not in the record are left out. A row with a NULL path begins a section. */
static const struct {
    const char *label, *path;
    enum kind kind;
} rows[] = {
    {"Process", NULL, TEXT},
    {"status", "pm2_env.status", STATUS},
    {"reason", "pm.reason_text", TEXT},
    {"wanted", "pm.desired", TEXT},
    {"namespace", "pm2_env.namespace", TEXT},
    {"instance", "pm2_env.NODE_APP_INSTANCE", NUMBER},
    {"instances", "pm2_env.instances", NUMBER},
    {"mode", "pm2_env.exec_mode", TEXT},
    {"pid", "pid", NUMBER},
    {"started", "pm2_env.pm_uptime", TIME},
    {"created", "pm2_env.created_at", TIME},
    {"next start", "pm.restart_at", TIME},
    {"restarts", "pm2_env.restart_time", NUMBER},
    {"unstable restarts", "pm2_env.unstable_restarts", NUMBER},
    {"run", "pm.run", NUMBER},
    {"last exit code", "pm2_env.exit_code", NUMBER},
    {"cpu", "monit.cpu", PERCENT},
    {"memory", "monit.memory", SIZE},
    {"user", "pm2_env.username", TEXT},
    {"Command", NULL, TEXT},
    {"script", "pm2_env.pm_exec_path", TEXT},
    {"arguments", "pm2_env.args", TEXT},
    {"interpreter", "pm2_env.exec_interpreter", TEXT},
    {"interpreter args", "pm2_env.node_args", TEXT},
    {"folder", "pm2_env.pm_cwd", TEXT},
    {"runs as user", "pm2_env.uid", TEXT},
    {"runs with group", "pm2_env.gid", TEXT},
    {"Logs", NULL, TEXT},
    {"output", "pm2_env.pm_out_log_path", TEXT},
    {"error", "pm2_env.pm_err_log_path", TEXT},
    {"both", "pm2_env.pm_log_path", TEXT},
    {"pid file", "pm2_env.pm_pid_path", TEXT},
    {"merged", "pm2_env.merge_logs", TEXT},
    {"type", "pm2_env.log_type", TEXT},
    {"date format", "pm2_env.log_date_format", TEXT},
    {"dropped lines", "pm.dropped_lines", NUMBER},
    {"Rules", NULL, TEXT},
    {"autorestart", "pm2_env.autorestart", TEXT},
    {"autostart", "pm2_env.autostart", TEXT},
    {"max restarts", "pm2_env.max_restarts", NUMBER},
    {"min uptime", "pm2_env.min_uptime", SPAN},
    {"restart delay", "pm2_env.restart_delay", SPAN},
    {"exponential backoff", "pm2_env.exp_backoff_restart_delay", SPAN},
    {"stop exit codes", "pm2_env.stop_exit_codes", TEXT},
    {"stop signal", "pm2_env.stop_signal", TEXT},
    {"kill timeout", "pm2_env.kill_timeout", SPAN},
    {"tree kill", "pm2_env.treekill", TEXT},
    {"shutdown by message", "pm2_env.shutdown_with_message", TEXT},
    {"wait for ready", "pm2_env.wait_ready", TEXT},
    {"listen timeout", "pm2_env.listen_timeout", SPAN},
};

static const json_t *find(const json_t *record, const char *path)
{
    const char *dot = strchr(path, '.');

    if (!dot)
        return json_object_get(record, path);
    _cleanup_free_ char *head = xstrndup(path, (size_t)(dot - path));
    return json_object_get(json_object_get(record, head), dot + 1);
}

/* Any value as text: lists by blanks, what else is not text as JSON. The caller frees. */
static char *as_text(const json_t *v)
{
    struct buf b = {0};
    json_t *part;
    size_t i;

    if (json_is_string(v))
        return xstrdup(json_string_value(v));
    if (json_is_boolean(v))
        return xstrdup(json_is_true(v) ? "yes" : "no");
    if (!json_is_array(v)) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        char *copy = xstrdup(text ? text : "");

        free(text);
        return copy;
    }
    json_array_foreach (v, i, part) {
        _cleanup_free_ char *text = as_text(part);

        buf_printf(&b, "%s%s", i ? " " : "", text);
    }
    return buf_steal(&b);
}

/* The caller frees. */
static char *format(enum kind kind, const json_t *v, int64_t now)
{
    long long n = json_is_real(v) ? (long long)json_real_value(v) : json_integer_value(v);
    char a[UNITS_MAX], b[UNITS_MAX];

    if (!json_is_number(v))
        return as_text(v);
    switch (kind) {
    case SPAN:
        return xstrdup(units_span(a, n));
    case SIZE:
        return xstrdup(units_size(a, (uint64_t)n));
    case TIME:
        return n > 0 ? xasprintf("%s (%s)", units_time(a, n), units_ago(b, now - n)) : xstrdup("never");
    case UPTIME:
        return xstrdup(units_uptime(a, now - n));
    case PERCENT:
        return xasprintf("%.4g%%", json_number_value(v));
    case TEXT:
    case NUMBER:
    case STATUS:
        break;
    }
    return as_text(v);
}

static void append_pair(const struct out *o, struct buf *out, const char *label, const char *value,
                        enum color color)
{
    _cleanup_free_ char *key = text_clean_dup(label), *clean = text_clean_dup(value);
    int used = 2 + text_width(key);

    buf_printf(out, "  %s%s%s", color_on(o->color, COLOR_DIM), key, color_off(o->color, COLOR_DIM));
    do
        buf_putc(out, ' ');
    while (++used < LABEL_COLUMN);
    buf_printf(out, "%s%s%s\n", color_on(o->color, color), clean, color_off(o->color, color));
}

static void append_section(const struct out *o, struct buf *out, const char *title)
{
    buf_printf(out, "\n%s%s%s\n", color_on(o->color, COLOR_TITLE), title, color_off(o->color, COLOR_TITLE));
}

static void append_rows(const struct out *o, const json_t *record, int64_t now, struct buf *out)
{
    const char *section = NULL;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const json_t *v = rows[i].path ? find(record, rows[i].path) : NULL;

        if (!rows[i].path)
            section = rows[i].label;
        if (!v || json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0))
            continue;
        if (section)
            append_section(o, out, section);
        section = NULL;
        _cleanup_free_ char *text = format(rows[i].kind, v, now);
        if (*text)
            append_pair(o, out, rows[i].label, text,
                        rows[i].kind == STATUS ? color_of_status(text) : COLOR_NONE);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Shells change these with every program that they start. */
static bool is_noise(const char *name)
{
    return strcmp(name, "_") == 0 || strcmp(name, "SHLVL") == 0 || strcmp(name, "OLDPWD") == 0;
}

/* Variables that are not the same in the caller's own environment. */
static void append_environment(const struct out *o, const json_t *env, char *const *mine, struct buf *out)
{
    const char **names = xcalloc(json_object_size(env) + 1, sizeof(*names)), *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach ((json_t *)env, key, value) {
        const char *ours = env_get(mine, key);

        if (!is_noise(key) &&
            (!ours || !json_is_string(value) || strcmp(ours, json_string_value(value)) != 0))
            names[n++] = key;
    }
    qsort(names, n, sizeof(*names), by_text);
    if (n)
        append_section(o, out, "Environment (what differs from this shell's)");
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *text = as_text(json_object_get(env, names[i]));

        append_pair(o, out, names[i], text, COLOR_NONE);
    }
    free(names);
}

void describe_render(const struct out *o, const json_t *record, char *const *environ_, int64_t now,
                     struct buf *out)
{
    _cleanup_free_ char *name = text_clean_dup(j_text(record, "name"));

    buf_printf(out, "%s%s%s (id %lld)\n", color_on(o->color, COLOR_BOLD), name,
               color_off(o->color, COLOR_BOLD), j_int(record, "pm_id"));
    append_rows(o, record, now, out);
    append_environment(o, find(record, "pm2_env.env"), environ_, out);
}
