/*
 * What a child is made from: built by the engine, put into a sealed memfd, read by the keeper. The text parts
 * are NUL-terminated strings in one block, so that the keeper only checks bounds and points into its private
 * mapping.
 */
#ifndef PM_COMMON_SPAWN_SPEC_H
#define PM_COMMON_SPAWN_SPEC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

#define SPAWN_SPEC_MAX    (4u * 1024 * 1024) /* bytes of one request */
#define SPAWN_GROUPS_MAX  64
#define SPAWN_SOCKETS_MAX 256

/* Between its fork and its exec a child is named this (/proc/PID/comm) and the first 8 digits of the home's
 * id, as PM_RUN_ID in its environment begins; that is not to be read in /proc before the exec. */
#define SPAWN_UNBORN "pm+"

#define SPAWN_SET_IDS      0x1u /* uid, gid and groups are to be set */
#define SPAWN_NO_NEW_PRIVS 0x2u
#define SPAWN_SET_UMASK    0x4u
#define SPAWN_SET_NICE     0x8u
#define SPAWN_SET_OOM      0x10u

struct spawn_spec {
    uint32_t flags;
    uint32_t uid, gid;
    uint32_t ngroups;
    uint32_t groups[SPAWN_GROUPS_MAX];
    uint32_t umask;
    int32_t nice;
    int32_t oom_score_adj;
    uint64_t nofile_soft, nofile_hard; /* RLIMIT_NOFILE of the caller; 0 = leave */
    const char *path;                  /* absolute, or a name to be looked for on the PATH in `envp` */
    const char *cwd;
    char **argv;      /* NULL-terminated */
    char **envp;      /* NULL-terminated; an entry "LISTEN_PID=0000000000" gets the child's pid written in */
    const char *blob; /* the engine's own text (the app as JSON), ignored by the keeper; may be NULL */
    size_t blob_len;
    uint32_t nsockets;
    uint64_t sockets[SPAWN_SOCKETS_MAX]; /* tokens: become descriptors 3, 4... of the child; the Node channel
                                            comes after them */

    void *map; /* set by spawn_spec_map: what the pointers point into */
    size_t map_len;
};

/* Writes the request into a new sealed memfd. Returns the descriptor or negative errno (-E2BIG over
 * SPAWN_SPEC_MAX). */
int spawn_spec_seal(const struct spawn_spec *s, struct err *e);

/*
 * Maps a sealed memfd privately and fills `out`; argv, envp are allocated with a bound that follows from the
 * size. Every length and count is checked: 0, -EBADMSG, -EPERM when the seals are missing, or -ENOMEM.
 */
int spawn_spec_map(int fd, struct spawn_spec *out);
void spawn_spec_unmap(struct spawn_spec *s);

#endif
