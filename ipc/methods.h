/* The requests that the daemon answers: one row each. See docs/protocol.md for what they mean. */
#ifndef PM_IPC_METHODS_H
#define PM_IPC_METHODS_H

#include <jansson.h>
#include <stdbool.h>

struct err;

#define PM_PROTOCOL 1

enum rpc_code {
    RPC_PARSE = -32700,
    RPC_INVALID = -32600,
    RPC_NO_METHOD = -32601,
    RPC_BAD_PARAMS = -32602,
    RPC_INTERNAL = -32603,
    RPC_HANDSHAKE = -32001,
    RPC_FORBIDDEN = -32002,
    RPC_FAILED = -32010,
    RPC_NO_MATCH = -32011,
    RPC_NOT_SAVED = -32012,
    RPC_SHUTTING_DOWN = -32013,
};

enum method_id {
    M_HELLO,
    M_PING,
    M_ENV_SET,
    M_START,
    M_PROCESS_START,
    M_PROCESS_STOP,
    M_PROCESS_RESTART,
    M_PROCESS_RELOAD,
    M_PROCESS_DELETE,
    M_LIST,
    M_DESCRIBE,
    M_METRICS,
    M_WHY,
    M_LOGS,
    M_EVENTS,
    M_PROCESS_SIGNAL,
    M_PROCESS_RESET,
    M_PROCESS_ENV,
    M_PROCESS_SEND,
    M_PROCESS_TRIGGER,
    M_SCALE,
    M_SAVE,
    M_RESURRECT,
    M_CLEARDUMP,
    M_FLUSH,
    M_LOGROTATE,
    M_SETTINGS_GET,
    M_SETTINGS_SET,
    M_SETTINGS_UNSET,
    M_UPDATE,
    M_RELOAD_LOGS,
    M_KILL,
    METHOD_COUNT
};

enum param_type {
    PARAM_BOOL,
    PARAM_INT,
    PARAM_STRING,
    PARAM_OBJECT,
    PARAM_STRINGS /* array of strings */,
    PARAM_OBJECTS,
    PARAM_RUN /* a positive integer or "last" */
};

struct param {
    const char *name;
    enum param_type type;
    bool required;
    long long min, max; /* of PARAM_INT */
    const char *help;
};

#define METHOD_PARAMS_MAX 20

struct method {
    const char *name;
    bool mutates;      /* answered after the commit */
    bool before_hello; /* may come before the handshake, or after one that failed */
    const char *help;
    struct param params[METHOD_PARAMS_MAX]; /* ends at a NULL name */
};

extern const struct method methods[METHOD_COUNT];

/* NULL when the method has no parameter of this name. */
const struct param *method_param(const struct method *m, const char *name);

/* -1 when there is no such method. */
int method_find(const char *name);

/* Checks presence, types, ranges and unknown names. 0, or RPC_BAD_PARAMS with words that name the parameter.
 */
int method_check(const struct method *m, const json_t *params, struct err *e);

#endif
