#include "cli/describe.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/help.h"
#include "cli/jsonget.h"
#include "cli/outcome.h"
#include "cli/text.h"
#include "cli/units.h"
#include "cli/why.h"
#include "common/buf.h"
#include "common/mem.h"
#include "config/spec.h"

#define LABEL_COLUMN 24
#define HEAD_WIDTH   78

enum kind { TEXT, NUMBER, SPAN, SIZE, TIME, STATUS, PERCENT, MODE, SIGNAL, SOCKETS, TIMES };

/* When a row says nothing worth a line. */
enum hide {
    NEVER,
    IF_NONE, /* 0, no, "" */
    IF_YES,  /* it is so unless somebody wanted otherwise */
    IF_DOWN  /* of a process that runs only */
};

/* Rows that are not in the record are left out. A row with a NULL path begins a section. */
static const struct {
    const char *label, *path;
    enum kind kind;
    enum hide hide;
} rows[] = {
    {"Process", NULL, TEXT, NEVER},
    {"status", "pm2_env.status", STATUS, NEVER},
    {"reason", "pm.reason_text", TEXT, NEVER},
    {"next start", "pm.restart_at", TIME, NEVER},
    {"next runs", "pm.next_runs", TIMES, IF_NONE},
    {"schedule trouble", "pm.schedule_trouble", TEXT, IF_NONE},
    {"pid", "pid", NUMBER, IF_NONE},
    {"started", "pm2_env.pm_uptime", TIME, IF_DOWN},
    {"health", "pm2_env.health.state", TEXT, NEVER},
    {"last health check", "pm2_env.health.words", TEXT, NEVER},
    {"checked", "pm2_env.health.checked_at", TIME, NEVER},
    {"cpu", "monit.cpu", PERCENT, IF_DOWN},
    {"memory", "monit.memory", SIZE, IF_DOWN},
    {"memory (PSS)", "metrics.pss", SIZE, IF_NONE},
    {"processes", "now.processes", NUMBER, IF_DOWN},
    {"threads", "now.threads", NUMBER, IF_DOWN},
    {"descriptors", "now.fds", NUMBER, IF_NONE},
    {"disk read", "now.read_bytes", SIZE, IF_DOWN},
    {"disk written", "now.write_bytes", SIZE, IF_DOWN},
    {"context switches", "now.switches", NUMBER, IF_DOWN},
    {"cpu, 10 min", "metrics.cpu_line", TEXT, NEVER},
    {"memory, 10 min", "metrics.memory_line", TEXT, NEVER},
    {"restarts", "pm2_env.restart_time", NUMBER, NEVER},
    {"unstable restarts", "pm2_env.unstable_restarts", NUMBER, IF_NONE},
    {"dropped log lines", "pm.dropped_lines", NUMBER, IF_NONE},
    {"log trouble", "pm.log_trouble", TEXT, IF_NONE},
    {"namespace", "pm2_env.namespace", TEXT, NEVER},
    {"version", "pm2_env.version", TEXT, NEVER},
    {"mode", "pm2_env.exec_mode", MODE, NEVER},
    {"instance", "pm2_env.NODE_APP_INSTANCE", NUMBER, NEVER},
    {"instances", "pm2_env.instances", NUMBER, NEVER},
    {"cluster schedule", "pm2_env.cluster_schedule", TEXT, IF_NONE},
    {"listen", "pm2_env.listen", SOCKETS, IF_NONE},
    {"user", "pm2_env.username", TEXT, NEVER},
    {"created", "pm2_env.created_at", TIME, NEVER},
    {"Command", NULL, TEXT, NEVER},
    {"script", "pm2_env.pm_exec_path", TEXT, NEVER},
    {"arguments", "pm2_env.args", TEXT, IF_NONE},
    {"interpreter", "pm2_env.exec_interpreter", TEXT, NEVER},
    {"interpreter args", "pm2_env.node_args", TEXT, IF_NONE},
    {"folder", "pm2_env.pm_cwd", TEXT, NEVER},
    {"runs as user", "pm2_env.uid", TEXT, IF_NONE},
    {"runs with group", "pm2_env.gid", TEXT, IF_NONE},
    {"Files", NULL, TEXT, NEVER},
    {"logs disabled", "pm.disable_logs", TEXT, IF_NONE},
    {"output log", "pm2_env.pm_out_log_path", TEXT, IF_NONE},
    {"error log", "pm2_env.pm_err_log_path", TEXT, IF_NONE},
    {"log of both", "pm2_env.pm_log_path", TEXT, IF_NONE},
    {"log type", "pm2_env.log_type", TEXT, IF_NONE},
    {"log date format", "pm2_env.log_date_format", TEXT, IF_NONE},
    {"pid file", "pm2_env.pm_pid_path", TEXT, NEVER},
    {"Rules", NULL, TEXT, NEVER},
    {"autostart", "pm2_env.autostart", TEXT, IF_YES},
    {"autorestart", "pm2_env.autorestart", TEXT, NEVER},
    {"max restarts", "pm2_env.max_restarts", NUMBER, NEVER},
    {"min uptime", "pm2_env.min_uptime", SPAN, NEVER},
    {"restart delay", "pm2_env.restart_delay", SPAN, IF_NONE},
    {"exponential backoff", "pm2_env.exp_backoff_restart_delay", SPAN, IF_NONE},
    {"stop exit codes", "pm2_env.stop_exit_codes", TEXT, IF_NONE},
    {"memory limit", "pm2_env.max_memory_restart", SIZE, IF_NONE},
    {"memory limit, soft", "pm2_env.max_memory.soft", SIZE, IF_NONE},
    {"  for more than", "pm2_env.max_memory.window", SPAN, IF_NONE},
    {"memory limit, hard", "pm2_env.max_memory.hard", SIZE, IF_NONE},
    {"cpu limit", "pm2_env.max_cpu_restart.percent", PERCENT, IF_NONE},
    {"  for more than", "pm2_env.max_cpu_restart.for", SPAN, IF_NONE},
    {"uptime limit", "pm2_env.max_uptime", SPAN, IF_NONE},
    {"schedule", "pm2_env.schedule", TEXT, IF_NONE},
    {"overlap", "pm2_env.overlap", TEXT, IF_NONE},
    {"cron restart", "pm2_env.cron_restart", TEXT, IF_NONE},
    {"time zone", "pm2_env.tz", TEXT, IF_NONE},
    {"stop signal", "pm.stop_signal", SIGNAL, NEVER},
    {"kill timeout", "pm2_env.kill_timeout", SPAN, NEVER},
    {"tree kill", "pm2_env.treekill", TEXT, IF_YES},
    {"shutdown by message", "pm2_env.shutdown_with_message", TEXT, IF_NONE},
    {"wait for ready", "pm2_env.wait_ready", TEXT, IF_NONE},
    {"listen timeout", "pm2_env.listen_timeout", SPAN, NEVER},
    {"watch", "pm.watch.method", TEXT, IF_NONE},
    {"watched folders", "pm.watch.folders", NUMBER, IF_NONE},
    {"not watched", "pm.watch.trouble", TEXT, IF_NONE},
    {"ignored by watch", "pm2_env.ignore_watch", TEXT, IF_NONE},
    {"watched extensions", "pm2_env.ext", TEXT, IF_NONE},
    {"watch delay", "pm2_env.watch_delay", SPAN, IF_NONE},
    {"watchdog", "pm2_env.watchdog", SPAN, IF_NONE},
    {"health check", "pm2_env.health_check", TEXT, IF_NONE},
};

static const json_t *find(const json_t *record, const char *path)
{
    const char *dot = strchr(path, '.');

    if (!dot)
        return json_object_get(record, path);
    _cleanup_free_ char *head = xstrndup(path, (size_t)(dot - path));
    return find(json_object_get(record, head), dot + 1);
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

/* "web tcp 8000, admin unix /run/x (mode 0660, group www-data)". The caller frees. */
static char *sockets_text(const json_t *list)
{
    struct buf b = {0};
    json_t *entry, *v;
    const char *key;
    size_t i;

    json_array_foreach (list, i, entry) {
        unsigned more = 0;

        buf_printf(&b, "%s%s", i ? ", " : "", json_string_value(json_object_get(entry, "name")));
        json_object_foreach (entry, key, v)
            if (strcmp(key, "tcp") == 0 || strcmp(key, "tcp6") == 0 || strcmp(key, "udp") == 0 ||
                strcmp(key, "unix") == 0)
                buf_printf(&b, " %s %s", key, json_string_value(v));
        json_object_foreach (entry, key, v) {
            const char *before = more ? ", " : " (";

            if (strcmp(key, "mode") == 0)
                buf_printf(&b, "%s%s %04o", before, key, (unsigned)json_integer_value(v));
            else if (strcmp(key, "owner") == 0 || strcmp(key, "group") == 0)
                buf_printf(&b, "%s%s %s", before, key, json_string_value(v));
            else if (strcmp(key, "backlog") == 0)
                buf_printf(&b, "%s%s %d", before, key, (int)json_integer_value(v));
            else if (json_is_true(v)) /* adopt, slots */
                buf_printf(&b, "%s%s", before, key);
            else
                continue;
            more++;
        }
        buf_puts(&b, more ? ")" : "");
    }
    return buf_steal(&b);
}

/* "2026-11-25 04:00:00 CET, ...": local times. The caller frees. */
static char *times_text(const json_t *list)
{
    struct buf b = {0};
    json_t *entry;
    size_t i;

    json_array_foreach (list, i, entry) {
        time_t at = (time_t)(json_integer_value(entry) / 1000);
        char text[64] = "";
        struct tm tm;

        if (localtime_r(&at, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &tm))
            buf_printf(&b, "%s%s", i ? ", " : "", text);
    }
    return buf_steal(&b);
}

/* The caller frees. */
static char *format(enum kind kind, const json_t *v, int64_t now)
{
    long long n = json_is_real(v) ? (long long)json_real_value(v) : json_integer_value(v);
    char a[UNITS_MAX], b[UNITS_MAX];

    if (kind == MODE && json_is_string(v))
        return xstrndup(json_string_value(v), strcspn(json_string_value(v), "_"));
    if (kind == SOCKETS)
        return sockets_text(v);
    if (kind == TIMES)
        return times_text(v);
    if (!json_is_number(v))
        return as_text(v);
    switch (kind) {
    case SPAN:
        return xstrdup(units_span(a, n));
    case SIZE:
        return xstrdup(units_size(a, (uint64_t)n));
    case TIME:
        return n > 0 ? xasprintf("%s (%s)", units_time(a, n), units_ago(b, now - n)) : xstrdup("never");
    case SIGNAL:
        return sigabbrev_np((int)n) ? xasprintf("SIG%s", sigabbrev_np((int)n)) : xasprintf("%lld", n);
    case PERCENT:
        return xasprintf("%.4g%%", json_number_value(v));
    case TEXT:
    case SOCKETS:
    case TIMES:
    case NUMBER:
    case MODE:
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
    buf_puts(out, color_on(o->color, color));
    if (o->width && used + text_width(clean) > o->width) {
        help_wrap(out, clean, used, LABEL_COLUMN, o->width);
        buf_puts(out, color_off(o->color, color));
    } else {
        buf_printf(out, "%s%s\n", clean, color_off(o->color, color));
    }
}

static void append_section(const struct out *o, struct buf *out, const char *title)
{
    buf_printf(out, "\n%s%s%s\n", color_on(o->color, COLOR_TITLE), title, color_off(o->color, COLOR_TITLE));
}

/* 0, no, "", an empty list, or PM2's word for what is not known. */
static bool is_none(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_number(v) && json_number_value(v) == 0) ||
           (json_is_string(v) && (!*json_string_value(v) || strcmp(json_string_value(v), "N/A") == 0));
}

static bool is_hidden(enum hide hide, const json_t *v, bool lives)
{
    if (!v || json_is_null(v) || (json_is_string(v) && is_none(v)))
        return true;
    return (hide == IF_NONE && is_none(v)) || (hide == IF_YES && json_is_true(v)) ||
           (hide == IF_DOWN && !lives);
}

static void append_runs(const struct describe *d, struct buf *out)
{
    json_t *run;
    size_t i;

    /* Of the first run, which goes on, all is said already. */
    if (json_array_size(d->runs) == 1 && !j_int(json_array_get(d->runs, 0), "ended_at"))
        return;
    if (json_array_size(d->runs))
        append_section(d->out, out, "Last runs");
    json_array_foreach (d->runs, i, run)
        why_append_run(d->out, run, d->now, out);
}

static void append_rows(const struct describe *d, const json_t *record, struct buf *out)
{
    bool lives = j_int(record, "pid") > 0;
    const char *section = NULL;
    size_t sections = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const json_t *v = rows[i].path ? find(record, rows[i].path) : NULL;

        if (!rows[i].path) {
            section = rows[i].label;
            /* How it ended is asked for more often than what it is. */
            if (++sections == 2)
                append_runs(d, out);
        }
        if (is_hidden(rows[i].hide, v, lives))
            continue;
        if (section)
            append_section(d->out, out, section);
        section = NULL;
        _cleanup_free_ char *text = format(rows[i].kind, v, d->now);
        append_pair(d->out, out, rows[i].label, text,
                    rows[i].kind == STATUS ? color_of_status(text) : COLOR_NONE);
    }
}

/* "42 jobs": a metric is an object with a value, or just a value. The caller frees. */
static char *metric_text(const json_t *metric)
{
    const json_t *value = json_is_object(metric) ? json_object_get(metric, "value") : metric;
    const char *unit = j_text(metric, "unit");
    char *text = value ? as_text(value) : xstrdup("");
    char *all = *unit ? xasprintf("%s %s", text, unit) : NULL;

    if (!all)
        return text;
    free(text);
    return all;
}

/* What the app announced on its Node channel; the headings are PM2's. */
static void append_talk(const struct describe *d, const json_t *record, struct buf *out)
{
    const json_t *actions = find(record, "pm2_env.axm_actions"),
                 *metrics = find(record, "pm2_env.axm_monitor");
    _cleanup_free_ char *word = outcome_word(j_text(record, "name"), j_int(record, "pm_id"));
    const char *name;
    json_t *value;
    size_t i;

    if (json_array_size(actions))
        append_section(d->out, out, "Actions available");
    json_array_foreach (actions, i, value) {
        const char *action = j_text(value, "action_name");
        _cleanup_free_ char *how = xasprintf("pm trigger %s %s", word, action);

        append_pair(d->out, out, action, how, COLOR_NONE);
    }
    if (json_object_size(metrics))
        append_section(d->out, out, "Code metrics value");
    json_object_foreach ((json_t *)metrics, name, value) {
        _cleanup_free_ char *text = metric_text(value);

        append_pair(d->out, out, name, text, COLOR_NONE);
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

#define MASKED "********"

/* Masked values that this shell has a variable for: equal or not, nobody can tell. */
static void append_unknown(const struct describe *d, const char *const *names, size_t n, struct buf *out)
{
    struct buf line = {0};

    for (size_t i = 0; i < n; i++)
        buf_printf(&line, "%s%s", i ? ", " : "", names[i]);
    if (n) {
        _cleanup_free_ char *clean = text_clean_dup(line.data);

        buf_puts(out, "  also set, masked: ");
        help_wrap(out, clean, 20, 4, d->out->width ? d->out->width : 1 << 20);
    }
    buf_free(&line);
}

/* A value that would take many lines is cut on a terminal; pm env has it in full. */
static void append_variable(const struct describe *d, const json_t *env, const char *name, struct buf *out)
{
    _cleanup_free_ char *text = as_text(json_object_get(env, name)), *clean = text_clean_dup(text);
    int at = text_width(name) + 3 > LABEL_COLUMN ? text_width(name) + 3 : LABEL_COLUMN;
    int room = d->out->width - at > 20 ? d->out->width - at : 20;

    if (d->out->width && text_width(clean) > room) {
        _cleanup_free_ char *head = xstrndup(clean, text_cut(clean, room - 1));
        _cleanup_free_ char *cut = xasprintf("%s%s", head, out_utf8(d->out) ? "…" : "~");

        append_pair(d->out, out, name, cut, COLOR_NONE);
        return;
    }
    append_pair(d->out, out, name, clean, COLOR_NONE);
}

/* Variables that are not the same in the caller's own environment. */
static void append_environment(const struct describe *d, const json_t *env, struct buf *out)
{
    size_t size = json_object_size(env) + 1, n = 0, n_unknown = 0;
    const char **names = xcalloc(size, sizeof(*names)), **unknown = xcalloc(size, sizeof(*unknown)), *key;
    json_t *value;

    json_object_foreach ((json_t *)env, key, value) {
        const char *ours = env_get(d->environ_, key), *theirs = json_string_value(value);

        if (is_noise(key) || (ours && theirs && strcmp(ours, theirs) == 0))
            continue;
        if (ours && theirs && strcmp(theirs, MASKED) == 0)
            unknown[n_unknown++] = key;
        else
            names[n++] = key;
    }
    qsort(names, n, sizeof(*names), by_text);
    qsort(unknown, n_unknown, sizeof(*unknown), by_text);
    if (n + n_unknown)
        append_section(d->out, out, "Environment (what differs from this shell's)");
    for (size_t i = 0; i < n; i++)
        append_variable(d, env, names[i], out);
    append_unknown(d, unknown, n_unknown, out);
    free(names);
    free(unknown);
}

static void append_head(const struct describe *d, const json_t *record, struct buf *out)
{
    _cleanup_free_ char *name = text_clean_dup(j_text(record, "name"));
    _cleanup_free_ char *title = xasprintf("%s (id %lld)", name, j_int(record, "pm_id"));
    int width = d->out->width && d->out->width < HEAD_WIDTH ? d->out->width : HEAD_WIDTH;

    buf_printf(out, "%s%s%s", color_on(d->out->color, COLOR_BOLD), title,
               color_off(d->out->color, COLOR_BOLD));
    if (d->one_of_many && d->out->tty) {
        buf_putc(out, ' ');
        for (int i = text_width(title) + 1; i < width; i++)
            buf_puts(out, out_utf8(d->out) ? "─" : "-");
    }
    buf_putc(out, '\n');
}

void describe_render(const struct describe *d, const json_t *record, struct buf *out)
{
    append_head(d, record, out);
    append_rows(d, record, out);
    append_talk(d, record, out);
    append_environment(d, find(record, "pm2_env.env"), out);
}
