/* What the keeper knows. Each part below is written by the file that is named with it. */
#ifndef PM_KEEPER_STATE_H
#define PM_KEEPER_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/home.h"
#include "common/kwire.h"
#include "keeper/table.h"

/* Names of the loop's own descriptors in epoll; exec error pipes carry their run's token. */
#define WATCH_SIGNALS UINT64_MAX
#define WATCH_LINK    (UINT64_MAX - 1)
#define WATCH_ENGINE  (UINT64_MAX - 2)
#define TOKEN_LAST    (UINT64_MAX - 16)

/* link.c, news.c: the packet socket to the engine */
struct link {
    int fd;      /* -1: none */
    bool hello;  /* the engine has said who it is */
    bool synced; /* it knows the records that there are: from now on it gets the news */
    bool deaf;   /* sending failed for good; what is left is to read */
    bool ended;  /* nothing more to read */
    uint64_t ended_ms;
    bool unread;       /* the turn's share of messages was used up */
    uint32_t watched;  /* events asked of epoll */
    bool blocked;      /* the socket was full */
    uint64_t retry_ms; /* blocked although epoll says writable: try again then; 0: no */

    struct record_list snapshot, news;
    bool snapshot_open; /* KW_SNAPSHOT_END is owed */
    bool has_refused;   /* one answer waits here; nothing more is read until it is gone */
    struct kw_msg refused;
    bool welcome_owed;  /* the answer to KW_HELLO */
    bool upgraded_owed; /* the answer to KW_UPGRADE */
    bool stop_told;
    bool reopen_owed; /* SIGUSR2 came */
};

/* engine.c */
struct engine {
    char *const *argv;
    pid_t pid;   /* 0: none runs */
    int pidfd;   /* -1: none */
    bool ours;   /* our child; otherwise it came by --attach-fd or the attach socket */
    int err_fd;  /* its exec error pipe; -1: none */
    bool hushed; /* SIGKILL was sent; only its end is awaited */
    uint64_t started_ms, heard_ms;
    uint64_t next_ms; /* when to start the next one */
    unsigned backoff_ms;
    unsigned failures; /* ends in a row within a second of the start */
    unsigned limit_ms; /* heartbeat */
    uint64_t starts;
    bool serves;       /* it has said KW_READY */
    unsigned unserved; /* ends in a row of engines that had not */
    int image;         /* O_PATH: the program file of the last engine that served; -1: none yet */
    bool fell_back;    /* engines are started from `image`, as what is installed does not start */
};

/* shutdown.c */
struct shutdown {
    bool wanted;       /* a signal or the engine asked for the end */
    bool signalled;    /* by a signal: the engine has to be told */
    unsigned failures; /* engines that ended meanwhile without saying KW_BYE */
    bool bye;          /* KW_BYE: only the engine's own end is awaited */
    uint64_t bye_ms;
    int gave_up; /* 0: no, 1: own children got SIGTERM, 2: SIGKILL */
    uint64_t deadline_ms;
};

enum upgrade_phase {
    UPGRADE_NONE,
    UPGRADE_PROBE,  /* the installed program is asked whether it can take over */
    UPGRADE_SETTLE, /* it can; as soon as nothing is under way to the engine */
};

/* upgrade.c */
struct upgrade {
    enum upgrade_phase phase;
    pid_t probe;
    int probe_err;     /* its exec error pipe */
    bool overdue;      /* it was killed */
    uint64_t asked_by; /* which engine, by its number */
    uint64_t deadline_ms;
    int error;                 /* for the answer */
    char trouble[KW_NOTE_MAX]; /* why the last update, or the installed engine, did not start; or "" */
};

struct keeper {
    struct home home;
    bool foreground;
    int64_t log_limit; /* bytes of the log that make it be rotated; 0 = the usual */
    bool attached;     /* started for a living engine, not fresh */
    int ready_fd;      /* start.c: whoever waits for the daemon to be up; -1: nobody (any more) */
    struct rlimit child_nofile;
    struct table table;
    struct link link;
    struct engine engine;
    struct shutdown shutdown;
    struct upgrade upgrade;
    char program[PATH_MAX]; /* the installed pmd: what an upgrade executes */
    int epoll_fd, signal_fd;
    bool quit;
    int status;
};

#endif
