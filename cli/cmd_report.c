/* What somebody who is to help wants to know first: versions, machine, limits, daemon, list. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/jsonget.h"
#include "cli/proclist.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/units.h"
#include "common/clock.h"
#include "common/mem.h"

static json_t *limit_of(__rlimit_resource_t which)
{
    struct rlimit l;

    if (getrlimit(which, &l) < 0)
        return json_null();
    return l.rlim_cur == RLIM_INFINITY ? json_string("unlimited") : json_integer((json_int_t)l.rlim_cur);
}

static json_t *machine(void)
{
    struct utsname u = {0};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    uname(&u);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i}", "system", u.sysname, "release", u.release, "arch",
                     u.machine, "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory",
                     (json_int_t)pages * page, "uid", (int)geteuid());
}

static json_t *daemon_of(const struct cli *c)
{
    const json_t *s = c->rpc.server;

    if (!c->connected)
        return json_null();
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "version", j_text(s, "version"), "protocol",
                     (json_int_t)j_int(s, "protocol"), "keeper_pid", (json_int_t)j_int(s, "keeper_pid"),
                     "engine_pid", (json_int_t)j_int(s, "pid"), "started_at",
                     (json_int_t)j_int(s, "started_at"));
}

static json_t *collect(struct cli *c, int *code)
{
    json_t *report =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "version", PM_VERSION, "home", c->home_path, "machine",
                  machine(), "limits",
                  json_pack("{s:o, s:o, s:o}", "open_files", limit_of(RLIMIT_NOFILE), "processes",
                            limit_of(RLIMIT_NPROC), "locked_memory", limit_of(RLIMIT_MEMLOCK)),
                  "daemon", daemon_of(c));
    json_t *records = NULL;

    *code = c->connected ? session_call(c, "list", NULL, &records) : EXIT_DONE;
    json_object_set_new(report, "processes", *code == EXIT_DONE && records ? records : json_array());
    return report;
}

static void section(const struct out *o, const char *title)
{
    printf("\n%s%s%s\n", color_on(o->color, COLOR_TITLE), title, color_off(o->color, COLOR_TITLE));
}

static void row(const char *label, const char *text)
{
    _cleanup_free_ char *clean = text_clean_dup(text);

    printf("  %-16s %s\n", label, clean);
}

static void row_value(const char *label, const json_t *v)
{
    char number[UNITS_MAX];

    snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
    row(label, json_is_string(v) ? json_string_value(v) : number);
}

static void print_daemon(const struct out *o, const json_t *d)
{
    long long started = j_int(d, "started_at");
    char a[UNITS_MAX], b[UNITS_MAX];

    section(o, "Daemon");
    if (json_is_null(d)) {
        row("state", "none runs; pm start starts one");
        return;
    }
    row("version", j_text(d, "version"));
    row_value("protocol", json_object_get(d, "protocol"));
    row_value("keeper's pid", json_object_get(d, "keeper_pid"));
    row_value("engine's pid", json_object_get(d, "engine_pid"));
    if (started > 0) {
        _cleanup_free_ char *text =
            xasprintf("%s (%s)", units_time(a, started), units_ago(b, (int64_t)clock_wall_ms() - started));
        row("started", text);
    }
}

static void print_report(struct cli *c, const json_t *report)
{
    const json_t *m = json_object_get(report, "machine"), *l = json_object_get(report, "limits");
    char size[UNITS_MAX];

    printf("%spm %s%s\n", color_on(c->out.color, COLOR_BOLD), PM_VERSION,
           color_off(c->out.color, COLOR_BOLD));
    row("home", c->home_path);
    section(&c->out, "Machine");
    row("system", j_text(m, "system"));
    row("kernel", j_text(m, "release"));
    row("architecture", j_text(m, "arch"));
    row_value("cpus", json_object_get(m, "cpus"));
    row("memory", units_size(size, (uint64_t)j_int(m, "memory")));
    row_value("user id", json_object_get(m, "uid"));
    section(&c->out, "Limits of this shell");
    row_value("open files", json_object_get(l, "open_files"));
    row_value("processes", json_object_get(l, "processes"));
    row_value("locked memory", json_object_get(l, "locked_memory"));
    print_daemon(&c->out, json_object_get(report, "daemon"));
    section(&c->out, "Processes");
    fflush(stdout);
    if (c->connected)
        proclist_print(c);
}

int cmd_report(struct cli *c, const struct args *a)
{
    int code;
    json_t *report = collect(c, &code);

    if (code == EXIT_DONE && args_has(a, "json")) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == EXIT_DONE) {
        print_report(c, report);
    }
    json_decref(report);
    return code;
}
