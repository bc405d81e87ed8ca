/* Talking to the daemon on behalf of a command. Whatever goes wrong is said here, once. */
#ifndef PM_CLI_SESSION_H
#define PM_CLI_SESSION_H

#include "cli/cli.h"

#define SESSION_HELLO_MS 5000  /* an engine that takes longer to say hello hangs */
#define SESSION_READ_MS  30000 /* for the answer to a request that changes nothing */
#define SESSION_BACK_MS  10000 /* how long to wait for the next engine when one dies */

/* Why a connection could not be had; 0 is success. */
enum session_state {
    SESSION_OK,
    SESSION_NO_DAEMON, /* nothing was printed */
    SESSION_FAILED     /* the error was printed */
};

/* Opens the home (`create`: makes it) and connects. A connection to a daemon of another protocol version
 * counts as SESSION_FAILED, unless `any_version`. */
enum session_state session_connect(struct cli *c, bool create, bool any_version);

/* Connects again within SESSION_BACK_MS after the connection broke. */
enum session_state session_reconnect(struct cli *c);

/*
 * A request whose failure ends the command. Requests that change nothing are asked again when the engine was
 * replaced in between. 0 and the result (caller owns), or the exit code after the error was printed; then
 * *result may hold the error's data.
 */
int session_call(struct cli *c, const char *method, json_t *params, json_t **result);

/*
 * The same for a request that the daemon may refuse without ending the command: then the negative code of the
 * refusal is returned, `refusal` has its message, and nothing was printed.
 */
int session_ask(struct cli *c, const char *method, json_t *params, json_t **result, struct err *refusal);

/* The same with the answer as text. */
int session_call_raw(struct cli *c, const char *method, json_t *params, struct rpc_text *result);

/* {"selectors": [words]} */
json_t *session_selectors(const char *const *words, size_t n);

/* "no daemon runs for <home>", returns the exit code. */
int session_no_daemon(const struct cli *c);

#endif
