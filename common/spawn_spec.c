#include "common/spawn_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

#define MAGIC   0x53534d50u /* "PMSS" */
#define VERSION 2u /* 2: sockets. Without any, version 1 is written, which an older keeper reads as well */
#define SEALS   (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void put32(struct buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        buf_putc(b, (char)(v >> (8 * i)));
}

static void put64(struct buf *b, uint64_t v)
{
    put32(b, (uint32_t)v);
    put32(b, (uint32_t)(v >> 32));
}

/* Adds the bytes of the strings to *size; false as soon as it is over the bound, so that it cannot wrap. */
static int measure(char *const *strings, size_t *size)
{
    for (; strings && *strings; strings++) {
        size_t n = strlen(*strings) + 1;

        if (n > SPAWN_SPEC_MAX - *size)
            return -E2BIG;
        *size += n;
    }
    return 0;
}

static int check_size(const struct spawn_spec *s)
{
    char *const fixed[] = {(char *)s->path, (char *)s->cwd, NULL};
    size_t size = 256 + sizeof(s->groups) + 8ul * s->nsockets + s->blob_len;

    if (s->blob_len >= SPAWN_SPEC_MAX - 512 || size > SPAWN_SPEC_MAX)
        return -E2BIG;
    if (measure(fixed, &size) < 0 || measure(s->argv, &size) < 0 || measure(s->envp, &size) < 0)
        return -E2BIG;
    return 0;
}

static void write_strings(struct buf *b, char *const *strings)
{
    for (; strings && *strings; strings++)
        buf_append(b, *strings, strlen(*strings) + 1);
}

static void write_spec(const struct spawn_spec *s, struct buf *b)
{
    put32(b, MAGIC);
    put32(b, s->nsockets ? VERSION : 1);
    put32(b, s->flags);
    put32(b, s->uid);
    put32(b, s->gid);
    put32(b, s->umask);
    put32(b, (uint32_t)s->nice);
    put32(b, (uint32_t)s->oom_score_adj);
    put64(b, s->nofile_soft);
    put64(b, s->nofile_hard);
    put32(b, s->ngroups);
    for (uint32_t i = 0; i < s->ngroups; i++)
        put32(b, s->groups[i]);
    if (s->nsockets)
        put32(b, s->nsockets);
    for (uint32_t i = 0; i < s->nsockets; i++)
        put64(b, s->sockets[i]);
    put32(b, (uint32_t)strv_len(s->argv));
    put32(b, (uint32_t)strv_len(s->envp));
    put32(b, s->blob ? (uint32_t)s->blob_len : UINT32_MAX);
    buf_append(b, s->path, strlen(s->path) + 1);
    buf_append(b, s->cwd ? s->cwd : "", s->cwd ? strlen(s->cwd) + 1 : 1);
    write_strings(b, s->argv);
    write_strings(b, s->envp);
    if (s->blob) {
        buf_append(b, s->blob, s->blob_len);
        buf_putc(b, '\0'); /* so that the blob may be read as text */
    }
}

/* A name without a slash is looked for on the PATH; a relative path would depend on the keeper. */
static bool is_program(const char *path)
{
    return path[0] == '/' || (path[0] && !strchr(path, '/'));
}

int spawn_spec_seal(const struct spawn_spec *s, struct err *e)
{
    struct buf b = {0};
    int fd, rc;

    if (!s->path || !is_program(s->path) || !s->argv || !s->argv[0] || s->ngroups > SPAWN_GROUPS_MAX ||
        s->nsockets > SPAWN_SOCKETS_MAX)
        return err_set(e, -EINVAL,
                       "a start request needs an absolute path or a name, arguments, at most %d groups and "
                       "at most %d sockets",
                       SPAWN_GROUPS_MAX, SPAWN_SOCKETS_MAX);
    if (check_size(s) < 0)
        return err_set(e, -E2BIG, "arguments and environment are larger than %u bytes", SPAWN_SPEC_MAX);
    fd = memfd_create("pm-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(e, "cannot create a memory file for the start request");
    write_spec(s, &b);
    rc = fs_write_all(fd, b.data, b.len);
    buf_free(&b);
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0)
        return fd;
    rc = rc < 0 ? rc : -errno;
    close(fd);
    return err_set(e, rc, "cannot write the start request: %s", strerror(-rc));
}

struct reader {
    char *p;
    size_t left;
    int bad;
};

static uint32_t get32(struct reader *r)
{
    uint32_t v = 0;

    if (r->bad || r->left < 4) {
        r->bad = 1;
        return 0;
    }
    for (int i = 0; i < 4; i++)
        v |= (uint32_t)(uint8_t)r->p[i] << (8 * i);
    r->p += 4;
    r->left -= 4;
    return v;
}

static uint64_t get64(struct reader *r)
{
    uint64_t low = get32(r);

    return low | (uint64_t)get32(r) << 32;
}

static char *get_string(struct reader *r)
{
    char *s = r->p, *end = r->bad ? NULL : memchr(s, '\0', r->left);

    if (!end) {
        r->bad = 1;
        return NULL;
    }
    r->left -= (size_t)(end - s) + 1;
    r->p = end + 1;
    return s;
}

static int read_texts(struct reader *r, struct spawn_spec *s)
{
    uint32_t argc = get32(r), envc = get32(r), blob_len = get32(r);

    s->path = get_string(r);
    s->cwd = get_string(r);
    /* Every string takes a byte at least, which bounds the counts and with them the allocation. */
    if (r->bad || !is_program(s->path) || argc < 1 || argc > r->left || envc > r->left - argc)
        return -EBADMSG;
    s->argv = calloc((size_t)argc + envc + 2, sizeof(char *));
    if (!s->argv)
        return -ENOMEM;
    s->envp = s->argv + argc + 1;
    for (uint32_t i = 0; i < argc; i++)
        s->argv[i] = get_string(r);
    for (uint32_t i = 0; i < envc; i++)
        s->envp[i] = get_string(r);
    if (r->bad)
        return -EBADMSG;
    if (blob_len == UINT32_MAX)
        return 0;
    if (blob_len >= r->left || r->p[blob_len] != '\0')
        return -EBADMSG;
    s->blob = r->p;
    s->blob_len = blob_len;
    return 0;
}

static int read_sockets(struct reader *r, struct spawn_spec *s)
{
    s->nsockets = get32(r);
    if (r->bad || s->nsockets > SPAWN_SOCKETS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < s->nsockets; i++)
        s->sockets[i] = get64(r);
    return 0;
}

static int read_spec(struct spawn_spec *s)
{
    struct reader r = {s->map, s->map_len, 0};
    uint32_t magic = get32(&r), version = get32(&r);

    if (magic != MAGIC || version < 1 || version > VERSION)
        return -EBADMSG;
    s->flags = get32(&r);
    s->uid = get32(&r);
    s->gid = get32(&r);
    s->umask = get32(&r);
    s->nice = (int32_t)get32(&r);
    s->oom_score_adj = (int32_t)get32(&r);
    s->nofile_soft = get64(&r);
    s->nofile_hard = get64(&r);
    s->ngroups = get32(&r);
    if (r.bad || s->ngroups > SPAWN_GROUPS_MAX || (s->nofile_hard && s->nofile_soft > s->nofile_hard))
        return -EBADMSG;
    for (uint32_t i = 0; i < s->ngroups; i++)
        s->groups[i] = get32(&r);
    if (version >= 2 && read_sockets(&r, s) < 0)
        return -EBADMSG;
    return read_texts(&r, s);
}

int spawn_spec_map(int fd, struct spawn_spec *out)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS), rc;
    void *map;

    *out = (struct spawn_spec){0};
    /* Without the seals the sender could change lengths after they were checked, or shrink the file under
     * the mapping. */
    if (seals < 0 || (seals & SEALS) != SEALS)
        return -EPERM;
    if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > SPAWN_SPEC_MAX)
        return -EBADMSG;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -ENOMEM;
    out->map = map;
    out->map_len = (size_t)st.st_size;
    rc = read_spec(out);
    if (rc < 0)
        spawn_spec_unmap(out);
    return rc;
}

void spawn_spec_unmap(struct spawn_spec *s)
{
    if (s->map) {
        munmap(s->map, s->map_len);
        free(s->argv); /* envp lives in the same block */
    }
    *s = (struct spawn_spec){0};
}
