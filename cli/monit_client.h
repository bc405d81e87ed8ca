/*
 * What pm monit asks of the daemon: the list and the selected process once a second, its log as it comes, and
 * restarts. Two connections, since a log that is followed ends only with its connection.
 */
#ifndef PM_CLI_MONIT_CLIENT_H
#define PM_CLI_MONIT_CLIENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/monit_conn.h"

#define MONIT_ACTIONS_MAX 8
#define MONIT_WORDS_MAX   200

struct monit;

/* A request that changes something, until its answer is there. */
struct monit_action {
    long long request; /* 0: free */
    char what[160];    /* "restart api (3)" */
};

struct monit_client {
    struct monit_conn main, log;
    bool up, log_up;              /* hello was answered */
    bool log_new;                 /* the connection broke: its history will come again */
    unsigned long long log_lines; /* came since it was opened */
    bool was_up;                  /* at any time */
    long long daemon_pid;         /* of the last one */
    long long list_id, detail_id; /* requests that wait for their answers; 0: none */
    long long detail_of, log_of;  /* which process the answers are about; -1: none */
    uint64_t next_list, next_log, next_try, asked_at, settled_at; /* monotonic ms */
    char trouble[MONIT_WORDS_MAX]; /* why there is no daemon; "": there is one */
    struct monit_action actions[MONIT_ACTIONS_MAX];
};

void monit_client_init(struct monit_client *k);
void monit_client_deinit(struct monit_client *k);

/* What is due: connects, asks. Returns the ms until it wants to be called again. */
int monit_client_turn(struct monit *m, uint64_t now);

/* What to wait for, at p[0] and p[1], and what to do about it. */
void monit_client_poll(const struct monit_client *k, struct pollfd *p, uint64_t now);
void monit_client_io(struct monit *m, const struct pollfd *p);

/* Asks for details at once, and for another log soon: a selection that moves on is not followed. */
void monit_client_selected(struct monit *m);

/* `method` for one process; `verb` is for the message. */
void monit_client_act(struct monit *m, const char *method, const char *verb, long long id, const char *name);

#endif
