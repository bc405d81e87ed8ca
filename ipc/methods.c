#include "ipc/methods.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/err.h"

#define SELECTORS                                                                                            \
    {                                                                                                        \
        "selectors", PARAM_STRINGS, .required = true,                                                        \
                                    .help = "all, names, ids, namespaces, /regex/, script paths"             \
    }

/* How many processes are acted on at a time, and whether the client hears of each. */
#define PARALLEL                                                                                             \
    {                                                                                                        \
        "parallel", PARAM_INT, .min = 1, .max = 10000, .help = "how many processes at a time"                \
    }
#define PROGRESS                                                                                             \
    {                                                                                                        \
        "progress", PARAM_BOOL, .help = "send a notification as each process comes out"                      \
    }

const struct method methods[METHOD_COUNT] = {
    [M_HELLO] =
        {.name = "hello",
         .before_hello = true,
         .help = "version handshake; the first message",
         .params = {{.name = "protocol", .type = PARAM_INT, .required = true, .min = 0, .max = 1000000},
                    {.name = "version", .type = PARAM_STRING, .required = true},
                    {.name = "by", .type = PARAM_STRING, .help = "who asks, for the records"}}},
    [M_PING] = {.name = "ping", .before_hello = true, .help = "is the daemon there?"},
    [M_ENV_SET] = {.name = "env.set",
                   .help = "base environment of the start requests that follow",
                   .params = {{.name = "env", .type = PARAM_OBJECT, .required = true}}},
    [M_START] =
        {.name = "start",
         .mutates = true,
         .help = "create apps and start them",
         .params = {{.name = "apps", .type = PARAM_OBJECTS, .required = true},
                    {.name = "wait", .type = PARAM_BOOL, .help = "until each is settled; the default"},
                    {.name = "restart", .type = PARAM_BOOL, .help = "restart those that run"},
                    {.name = "reload", .type = PARAM_BOOL, .help = "reload those that run"},
                    {.name = "force",
                     .type = PARAM_BOOL,
                     .help = "always new ones; with reload: as in process.reload"},
                    PARALLEL,
                    PROGRESS}},
    [M_PROCESS_START] = {.name = "process.start",
                         .mutates = true,
                         .help = "start known processes",
                         .params = {SELECTORS, PARALLEL, PROGRESS}},
    [M_PROCESS_STOP] = {.name = "process.stop",
                        .mutates = true,
                        .help = "stop processes",
                        .params = {SELECTORS, PARALLEL, PROGRESS}},
    [M_PROCESS_RESTART] =
        {.name = "process.restart",
         .mutates = true,
         .help = "stop and start",
         .params = {SELECTORS,
                    {.name = "env", .type = PARAM_OBJECT, .help = "put over the stored environment before"},
                    {.name = "set",
                     .type = PARAM_OBJECT,
                     .help = "keys of the stored configuration to change"},
                    {.name = "only_update", .type = PARAM_BOOL, .help = "store that and restart nothing"},
                    {.name = "wait", .type = PARAM_BOOL, .help = "until each is settled; the default"},
                    PARALLEL,
                    PROGRESS}},
    [M_PROCESS_RELOAD] =
        {.name = "process.reload",
         .mutates = true,
         .help = "new processes in the place of old ones, without a gap",
         .params = {SELECTORS,
                    {.name = "env", .type = PARAM_OBJECT, .help = "put over the stored environment before"},
                    {.name = "set",
                     .type = PARAM_OBJECT,
                     .help = "keys of the stored configuration to change"},
                    {.name = "force",
                     .type = PARAM_BOOL,
                     .help = "also while the processes of an earlier reload are still draining"},
                    {.name = "wait", .type = PARAM_BOOL, .help = "until each is done; the default"},
                    PARALLEL,
                    PROGRESS}},
    [M_PROCESS_DELETE] = {.name = "process.delete",
                          .mutates = true,
                          .help = "stop and forget",
                          .params = {SELECTORS, PARALLEL, PROGRESS}},
    [M_LIST] = {.name = "list",
                .help = "all processes",
                .params = {{.name = "full", .type = PARAM_BOOL, .help = "PM2's jlist records"}}},
    [M_DESCRIBE] = {.name = "describe", .help = "all about some processes", .params = {SELECTORS}},
    [M_METRICS] =
        {.name = "metrics",
         .help = "what processes and the host use, and used",
         .params =
             {{.name = "selectors", .type = PARAM_STRINGS, .help = "without it: all"},
              {.name = "since", .type = PARAM_INT, .min = 0, .max = INT64_MAX / 1000, .help = "ms; 10 min"},
              {.name = "until", .type = PARAM_INT, .min = 0, .max = INT64_MAX / 1000, .help = "ms; now"},
              {.name = "points", .type = PARAM_INT, .min = 1, .max = 10000, .help = "of each; 600"},
              {.name = "pss", .type = PARAM_BOOL, .help = "also PSS, which takes 2 ms a process"}}},
    [M_WHY] = {.name = "why",
               .help = "how the last runs ended",
               .params = {SELECTORS,
                          {.name = "runs", .type = PARAM_INT, .min = 1, .max = 100},
                          {.name = "lines", .type = PARAM_INT, .min = 0, .max = 1000}}},
    [M_LOGS] = {.name = "logs",
                .help = "lines that were stored, and then those that come",
                .params =
                    {SELECTORS,
                     {.name = "lines", .type = PARAM_INT, .min = 0, .max = 1000000, .help = "the last N"},
                     {.name = "follow", .type = PARAM_BOOL, .help = "also later ones"},
                     {.name = "stream", .type = PARAM_BOOL, .help = "the history in notifications"},
                     {.name = "out", .type = PARAM_BOOL},
                     {.name = "err", .type = PARAM_BOOL},
                     {.name = "since", .type = PARAM_INT, .min = 0, .max = INT64_MAX, .help = "µs; from"},
                     {.name = "until", .type = PARAM_INT, .min = 0, .max = INT64_MAX, .help = "µs; before"},
                     {.name = "grep", .type = PARAM_STRINGS, .help = "PCRE2; all must match"},
                     {.name = "ignore_case", .type = PARAM_BOOL},
                     {.name = "invert", .type = PARAM_BOOL, .help = "lines that grep does not match"},
                     {.name = "level", .type = PARAM_STRING, .help = "trace, debug, … fatal: at least"},
                     {.name = "run", .type = PARAM_RUN},
                     {.name = "instance", .type = PARAM_INT, .min = 0, .max = UINT32_MAX},
                     {.name = "before", .type = PARAM_INT, .min = 0, .max = 1000, .help = "context"},
                     {.name = "after", .type = PARAM_INT, .min = 0, .max = 1000, .help = "context"},
                     {.name = "reverse", .type = PARAM_BOOL, .help = "newest first"},
                     {.name = "count", .type = PARAM_BOOL, .help = "only the number"}}},
    [M_EVENTS] =
        {.name = "events",
         .help = "what happened, and then what happens",
         .params = {{.name = "selectors", .type = PARAM_STRINGS, .help = "without it: all"},
                    {.name = "lines", .type = PARAM_INT, .min = 0, .max = 10000, .help = "the last N stored"},
                    {.name = "since", .type = PARAM_INT, .min = 0, .max = INT64_MAX, .help = "µs; from"},
                    {.name = "follow", .type = PARAM_BOOL, .help = "also later ones"}}},
    [M_PROCESS_SIGNAL] =
        {.name = "process.signal",
         .mutates = true,
         .help = "send a signal to the children of running processes",
         .params = {SELECTORS,
                    {.name = "signal", .type = PARAM_STRING, .required = true, .help = "HUP, SIGHUP or 1"}}},
    [M_PROCESS_RESET] = {.name = "process.reset",
                         .mutates = true,
                         .help = "set the counters of restarts to zero",
                         .params = {SELECTORS}},
    [M_PROCESS_ENV] = {.name = "process.env",
                       .help = "the environment of one process, nothing masked",
                       .params = {{.name = "selector", .type = PARAM_STRING, .required = true}}},
    [M_PROCESS_SEND] = {.name = "process.send",
                        .mutates = true,
                        .help = "write a line to the standard input",
                        .params = {{.name = "selector", .type = PARAM_STRING, .required = true},
                                   {.name = "text", .type = PARAM_STRING, .required = true}}},
    [M_PROCESS_TRIGGER] =
        {.name = "process.trigger",
         .mutates = true,
         .help = "run an action that the app announced on its channel",
         .params = {SELECTORS,
                    {.name = "action", .type = PARAM_STRING, .required = true},
                    {.name = "arg", .type = PARAM_STRING},
                    {.name = "timeout", .type = PARAM_INT, .min = 1, .max = 86400000, .help = "ms; 5000"}}},
    [M_SCALE] =
        {.name = "scale",
         .mutates = true,
         .help = "more or fewer processes of an app",
         .params = {{.name = "name", .type = PARAM_STRING, .required = true},
                    {.name = "to", .type = PARAM_INT, .min = 0, .max = 10000},
                    {.name = "by", .type = PARAM_INT, .min = -10000, .max = 10000},
                    {.name = "cpus", .type = PARAM_BOOL, .help = "to the CPUs that the daemon may use"},
                    PARALLEL,
                    PROGRESS}},
    [M_SAVE] = {.name = "save",
                .mutates = true,
                .help = "store the list, for the next boot and for resurrect",
                .params = {{.name = "force", .type = PARAM_BOOL, .help = "also an empty list"}}},
    [M_RESURRECT] = {.name = "resurrect",
                     .mutates = true,
                     .help = "bring the saved list back",
                     .params = {{.name = "apps", .type = PARAM_OBJECTS, .help = "this list instead"},
                                PROGRESS}},
    [M_CLEARDUMP] = {.name = "cleardump", .mutates = true, .help = "forget the saved list"},
    [M_FLUSH] = {.name = "flush",
                 .mutates = true,
                 .help = "empty log files and forget stored lines",
                 .params = {{.name = "selectors",
                             .type = PARAM_STRINGS,
                             .help = "without it: of all, and the daemon's own log"}}},
    [M_LOGROTATE] = {.name = "logrotate",
                     .help = "rotate log files now, whatever their size",
                     .params = {{.name = "selectors", .type = PARAM_STRINGS, .help = "without it: of all"}}},
    [M_SETTINGS_GET] = {.name = "settings.get",
                        .help = "stored settings",
                        .params = {{.name = "key", .type = PARAM_STRING}}},
    [M_SETTINGS_SET] = {.name = "settings.set",
                        .mutates = true,
                        .help = "store a setting",
                        .params = {{.name = "key", .type = PARAM_STRING, .required = true},
                                   {.name = "value", .type = PARAM_STRING, .required = true}}},
    [M_SETTINGS_UNSET] = {.name = "settings.unset",
                          .mutates = true,
                          .help = "remove a setting",
                          .params = {{.name = "key", .type = PARAM_STRING, .required = true}}},
    [M_UPDATE] = {.name = "update", .mutates = true, .help = "start the engine anew; apps go on"},
    [M_RELOAD_LOGS] = {.name = "reload_logs", .help = "reopen all log files"},
    [M_KILL] = {.name = "kill",
                .mutates = true,
                .before_hello = true,
                .help = "stop everything and end the daemon"},
};

int method_find(const char *name)
{
    for (int i = 0; i < METHOD_COUNT; i++)
        if (strcmp(methods[i].name, name) == 0)
            return i;
    return -1;
}

static bool all_elements(const json_t *array, json_type type)
{
    size_t i;
    json_t *value;

    json_array_foreach (array, i, value)
        if (json_typeof(value) != type)
            return false;
    return true;
}

static const char *type_mismatch(const struct param *p, const json_t *v)
{
    switch (p->type) {
    case PARAM_BOOL:
        return json_is_boolean(v) ? NULL : "true or false";
    case PARAM_INT:
        return json_is_integer(v) ? NULL : "an integer";
    case PARAM_STRING:
        return json_is_string(v) ? NULL : "a string";
    case PARAM_OBJECT:
        return json_is_object(v) ? NULL : "an object";
    case PARAM_STRINGS:
        return json_is_array(v) && all_elements(v, JSON_STRING) ? NULL : "an array of strings";
    case PARAM_OBJECTS:
        return json_is_array(v) && all_elements(v, JSON_OBJECT) ? NULL : "an array of objects";
    case PARAM_RUN:
        return (json_is_integer(v) && json_integer_value(v) > 0) ||
                       (json_is_string(v) && strcmp(json_string_value(v), "last") == 0)
                   ? NULL
                   : "a run's number or \"last\"";
    }
    return "something else";
}

/* A NUL byte would cut a name short and make it another one. The depth is bounded by the framing. */
static bool holds_nul(const json_t *v)
{
    const char *key;
    json_t *inner;
    size_t i;

    if (json_is_string(v))
        return strlen(json_string_value(v)) != json_string_length(v);
    json_array_foreach (v, i, inner) {
        if (holds_nul(inner))
            return true;
    }
    json_object_foreach ((json_t *)v, key, inner) {
        if (holds_nul(inner))
            return true;
    }
    return false;
}

const struct param *method_param(const struct method *m, const char *name)
{
    for (const struct param *p = m->params; p < m->params + METHOD_PARAMS_MAX && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

int method_check(const struct method *m, const json_t *params, struct err *e)
{
    const char *key;
    json_t *value;

    if (params && !json_is_object(params))
        return err_set(e, RPC_BAD_PARAMS, "%s: params must be an object", m->name);
    json_object_foreach ((json_t *)params, key, value) {
        const struct param *p = method_param(m, key);
        const char *want;

        if (!p)
            return err_set(e, RPC_BAD_PARAMS, "%s: unknown parameter \"%.64s\"", m->name, key);
        want = type_mismatch(p, value);
        if (want)
            return err_set(e, RPC_BAD_PARAMS, "%s: parameter \"%s\" must be %s", m->name, key, want);
        if (holds_nul(value))
            return err_set(e, RPC_BAD_PARAMS, "%s: parameter \"%s\" holds a NUL byte", m->name, key);
        if (p->type == PARAM_INT &&
            (json_integer_value(value) < p->min || json_integer_value(value) > p->max))
            return err_set(e, RPC_BAD_PARAMS, "%s: parameter \"%s\" must be from %lld to %lld", m->name, key,
                           p->min, p->max);
    }
    for (const struct param *p = m->params; p < m->params + METHOD_PARAMS_MAX && p->name; p++)
        if (p->required && !json_object_get(params, p->name))
            return err_set(e, RPC_BAD_PARAMS, "%s: parameter \"%s\" is missing", m->name, p->name);
    return 0;
}
