/*
 * The words that keeper and engine exchange over their SOCK_SEQPACKET pair. One packet is one message;
 * descriptors ride along by SCM_RIGHTS. Fields are encoded one by one in little-endian order, never as a
 * struct, so that a keeper and an engine of different builds understand each other: a longer message of a
 * newer build is read as far as it is known.
 */
#ifndef PM_COMMON_KWIRE_H
#define PM_COMMON_KWIRE_H

#include <stdint.h>
#include <sys/types.h>

#define KW_VERSION    3 /* 2: KW_UPGRADE, KW_READY; 3: KW_SOCKET, KW_KEPT, KW_ANSWER, spawns with sockets */
#define KW_FDS_MAX    8
#define KW_NOTE_MAX   192
#define KW_PACKET_MAX 1024

/* Listening sockets have tokens too, which runs never reach. */
#define SOCKET_TOKEN_BIT (1ull << 62)
#define KW_SOCKETS_MAX   4096u /* that a keeper holds */

enum kw_type {
    /* engine -> keeper */
    KW_HELLO = 1, /* pid, arg = KW_VERSION. First message of an engine on a new link. */
    KW_BEAT,      /* heartbeat; an engine that sends none for the limit is killed and replaced */
    KW_SPAWN,     /* token, proc, flags, uid (owner of the pipes), note; fds: KW_FD_SPEC, KW_FD_BIRTH */
    KW_ACK,       /* token: its exit (or failed exec) is stored: pidfd, stdin and channel go */
    KW_HOLD,      /* token; fds with their kinds: keep these for this run */
    KW_DROP,      /* token, kinds without fds: close the held ones of these kinds */
    KW_NOTE,      /* token, note: replaces the note */
    KW_SNAPSHOT,  /* send everything: KW_CHILD for each, then KW_SNAPSHOT_END */
    KW_ADOPT,     /* token, proc, pid, start_ticks, start_us, note, fds: a child of a keeper that died */
    KW_BYE,       /* all is stopped: end, with exit status arg */
    KW_STOPPING,  /* the engine stops everything: should it die now, do not start another forever */
    KW_UPGRADE,   /* become the installed program; answered by KW_UPGRADED on the same link */
    KW_READY,     /* this engine has its state together and serves: its image is a good one */
    KW_SOCKET, /* token (with SOCKET_TOKEN_BIT); fds: KW_FD_SOCKET, KW_FD_META. Keep it, over engines, until
                  KW_DROP names both kinds; spawns name it by its token */
    KW_ANSWER, /* token; flags; arg = bytes, note: takes so many bytes from the run's Node channel and throws
                  them away, then sends the note on it. Answered by KW_ANSWERED; all or nothing, and done also
                  when the engine dies after it */
    /* keeper -> engine */
    KW_CHILD = 64, /* a record: token, proc, pid, start_ticks, start_us, flags, step, error, note, exit
                      fields, fds */
    KW_EXEC,       /* token, step, error: the exec succeeded (error 0) or failed */
    KW_EXITED,     /* token, pid, flags, wait_status, end_us, rusage */
    KW_REFUSED, /* token, step, error: the spawn could not even be tried (fork failed, table full, bad spec)
                 */
    KW_SNAPSHOT_END, /* token = the highest ever seen; arg = starts of the engine so far */
    KW_WELCOME,      /* pid, arg = KW_VERSION: the keeper's answer to KW_HELLO; note: what went wrong with the
                        last update, as text; empty when it went well */
    KW_SIGNAL,       /* arg = SIGTERM: stop everything and say KW_BYE; SIGUSR2: reopen the logs */
    KW_UPGRADED, /* error 0, arg = KW_VERSION: the keeper is the installed program now; else it is as before,
                    and note is the reason as text */
    KW_KEPT,     /* in a snapshot, before the runs: a socket, as KW_SOCKET brought it. Its own type, as an
                    engine that does not know sockets must not take it for a run */
    KW_ANSWERED, /* token, flags of the KW_ANSWER, error: 0; EAGAIN: the channel is full, nothing was done;
                    EALREADY: it was done before */
};

/* What a descriptor is, for KW_HOLD and in records. A run holds at most one of each kind. */
enum kw_fd {
    KW_FD_SPEC = 1, /* sealed memfd with the spawn request (struct spawn_spec) */
    KW_FD_PIDFD,
    KW_FD_STDIN,  /* write end */
    KW_FD_STDOUT, /* read ends, O_NONBLOCK */
    KW_FD_STDERR,
    KW_FD_IPC,       /* our end of the Node channel */
    KW_FD_SPOOL_OUT, /* memfd; its file offset is the count of bytes taken */
    KW_FD_SPOOL_ERR,
    KW_FD_NOTIFY, /* datagram socket for sd_notify */
    KW_FD_LISTEN, /* token 0: the client socket */
    KW_FD_ATTACH, /* token 0: the attach socket */
    KW_FD_LOCK,   /* token 0: the lock's open file description */
    KW_FD_BIRTH,  /* write end of a pipe that the child has until its exec; its end of file tells the engine,
                     whose keeper died with the spawn unanswered, that no child is between fork and exec */
    KW_FD_SOCKET, /* of a socket token: bound, and listening where its kind can. The keeper never accepts */
    KW_FD_META,   /* of a socket token: sealed memfd, what the engine knows of it */
    KW_FD_TALK,   /* memfd: the actions that an app announced on its channel, one message a line */
    KW_FD_STATE,  /* memfd, mapped by the engine: what it has agreed with the worker of a cluster */
    KW_FD_COUNT
};

/* KW_SPAWN flags */
#define KW_WANT_IPC                                                                                          \
    0x1u /* a socketpair; the child's end becomes descriptor 3, or the one after its sockets */

/* KW_ANSWER flags */
#define KW_ONCE 0x1u /* once in the life of the run: then it has KW_TOLD */

/* KW_CHILD and KW_EXITED flags */
#define KW_FOREIGN    0x1u /* not this keeper's own child (its keeper died): it cannot be waited for here */
#define KW_EXEC_KNOWN 0x2u /* step and error are set: exec succeeded (error 0) or failed */
#define KW_HAS_EXITED 0x4u /* the exit fields are set */
#define KW_TOLD       0x8u /* an answer with KW_ONCE went out */

/* Steps of a child's set-up, to name what failed. Words: kw_step_word. */
enum kw_step {
    KW_STEP_NONE,
    KW_STEP_SPEC,  /* the request is malformed */
    KW_STEP_TABLE, /* too many children */
    KW_STEP_PIPE,
    KW_STEP_FORK,
    KW_STEP_STDIO,
    KW_STEP_LIMITS,
    KW_STEP_NICE,
    KW_STEP_CWD,
    KW_STEP_GROUPS,
    KW_STEP_GID,
    KW_STEP_UID,
    KW_STEP_EXEC,
    KW_STEP_SEARCH, /* the program is not on the PATH */
    KW_STEP_SOCKET, /* a socket for the child is not there */
    KW_STEP_COUNT
};

struct kw_msg {
    uint32_t type;
    uint32_t flags;
    uint64_t token; /* the run id; 0 for what belongs to the daemon itself */
    uint64_t arg;
    uint32_t proc; /* process id (pm_id) */
    uint32_t uid;
    int32_t pid;
    int32_t step, error; /* enum kw_step; positive errno */
    int32_t wait_status; /* as waitpid gives it */
    uint64_t start_ticks;
    uint64_t start_us, end_us; /* wall clock */
    uint64_t utime_us, stime_us, maxrss_bytes;
    uint16_t note_len; /* opaque to the keeper: the engine's counters at spawn */
    uint8_t note[KW_NOTE_MAX];
    uint8_t nfds;              /* descriptors that came with the message, or kinds named by KW_DROP */
    uint8_t kinds[KW_FDS_MAX]; /* enum kw_fd */
    int fds[KW_FDS_MAX];
};

/*
 * Sends one message; the descriptors stay the caller's. Never blocks (MSG_DONTWAIT, MSG_NOSIGNAL).
 * 0, -EAGAIN when the peer's queue is full, -EPIPE/-ECONNRESET when it is gone.
 */
int kw_send(int sock, const struct kw_msg *m);

/*
 * Receives one message; received descriptors (close-on-exec) are the caller's.
 * 1 on a message, 0 at the end of the stream, -EAGAIN when there is none now, -EBADMSG for one that does not
 * parse (its descriptors are closed already), -EMFILE when it came but this process has no room for its
 * descriptors (the plain fields are filled, nfds is 0), or another negative errno.
 */
int kw_recv(int sock, struct kw_msg *m);

void kw_close_fds(struct kw_msg *m); /* closes all descriptors of a received message */

/* Takes the descriptor of this kind out of the message (the slot becomes -1); -1 when there is none. */
int kw_take_fd(struct kw_msg *m, enum kw_fd kind);

void kw_add_fd(struct kw_msg *m, enum kw_fd kind, int fd);

const char *
kw_step_word(int step); /* "change to the working folder", "exec"...: fits "cannot <word>: <strerror>" */

#endif
