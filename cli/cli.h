/* One invocation of pm: what the commands share. */
#ifndef PM_CLI_CLI_H
#define PM_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/args.h"
#include "cli/listview.h"
#include "cli/out.h"
#include "common/home.h"
#include "ipc/client.h"

/* Exit codes. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 /* and the signal's number */ };

struct progress;

struct cli {
    struct out out;
    struct list_view view; /* of the table of processes */
    struct home home;
    char *home_path; /* absolute; known also when there is no such folder */
    bool connected;
    struct rpc_client rpc;
    struct progress *progress; /* a line on stderr that has to go before anything else is printed; or NULL */
    char by[200];              /* for the daemon's records: "pm restart api" */
};

int cli_main(int argc, char **argv);

#endif
