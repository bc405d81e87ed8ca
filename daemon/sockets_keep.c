/*
 * What the keeper holds of a socket, and back: a sealed memory file says whose it is. Texts in it are
 * escaped: a path may hold any bytes, JSON only UTF-8.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/engine.h"
#include "daemon/sockets_int.h"

#define SEALS    (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
#define META_MAX (1024u * 1024)

static const char *const kind_words[] = {[SOCK_TCP] = "tcp", [SOCK_UDP] = "udp", [SOCK_UNIX] = "unix"};

bool sock_keeper_can(const struct sockets *s)
{
    const struct engine *e = s->engine;

    return !e->keeper_version || e->keeper_version >= KEEPER_HOLDS_SOCKETS;
}

static json_t *escaped(const char *text)
{
    struct buf b = {0};
    json_t *j;

    if (!text)
        return json_null();
    for (const unsigned char *p = (const void *)text; *p; p++) {
        if (*p < 0x20 || *p >= 0x7f || *p == '%')
            buf_printf(&b, "%%%02x", *p);
        else
            buf_putc(&b, (char)*p);
    }
    j = json_stringn(b.len ? b.data : "", b.len);
    buf_free(&b);
    return j;
}

/* NULL when there is no such text. The caller frees. */
static char *unescaped(const json_t *meta, const char *name)
{
    const char *text = json_string_value(json_object_get(meta, name));
    char *out = text ? xstrdup(text) : NULL, *to = out;
    unsigned byte;

    for (const char *p = text; p && *p; p++) {
        if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1 && strlen(p) > 2) {
            *to++ = (char)byte;
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    if (to)
        *to = '\0';
    return out;
}

/* A sealed memory file, or negative errno. */
static int write_meta(const struct sock *k)
{
    json_t *j = json_pack("{s:I, s:o, s:s, s:o, s:i, s:o, s:I, s:I, s:b, s:b, s:b, s:O*}", "app",
                          (json_int_t)k->app, "key", escaped(k->key), "kind", kind_words[k->kind], "address",
                          escaped(k->address), "port", k->port, "path", escaped(k->path), "dev",
                          (json_int_t)k->file.dev, "ino", (json_int_t)k->file.ino, "configured",
                          k->configured, "replaced", k->replaced, "released", k->released, "extra", k->extra);
    _cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    int fd, rc;

    json_decref(j);
    if (!text || strlen(text) > META_MAX)
        return -E2BIG;
    fd = memfd_create("pm-socket", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    rc = fs_write_all(fd, text, strlen(text));
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    rc = rc < 0 ? rc : -errno;
    close(fd);
    return rc;
}

int sock_keep(struct sock *k)
{
    struct kw_msg m = {.type = KW_SOCKET, .token = k->token};
    int meta;

    if (!sock_keeper_can(k->set))
        return 0;
    meta = write_meta(k);
    if (meta < 0)
        return meta;
    kw_add_fd(&m, KW_FD_SOCKET, k->fd);
    kw_add_fd(&m, KW_FD_META, meta);
    meta = engine_send(k->set->engine, &m);
    close(m.fds[1]);
    return meta;
}

void sockets_hand_over(struct sockets *s)
{
    struct sock *k;
    int rc;

    TAILQ_FOREACH (k, &s->list, entry) {
        rc = sock_keep(k);
        if (rc < 0)
            log_error("the keeper does not get the socket %s: %s", k->address, strerror(-rc));
    }
}

static json_t *read_meta(int fd)
{
    struct stat st;
    json_t *j = NULL;
    char *text;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > (off_t)META_MAX)
        return NULL;
    text = xmalloc((size_t)st.st_size);
    if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size)
        j = json_loadb(text, (size_t)st.st_size, JSON_ALLOW_NUL, NULL);
    free(text);
    return j;
}

/* NULL when it says nothing sensible. Takes no descriptor yet. */
static struct sock *from_meta(const json_t *j)
{
    const char *kind = json_string_value(json_object_get(j, "kind"));
    char *key = unescaped(j, "key"), *address = unescaped(j, "address"), *path = unescaped(j, "path");
    size_t n = 0;
    struct sock *k;

    while (n < ARRAY_LEN(kind_words) && (!kind || strcmp(kind, kind_words[n]) != 0))
        n++;
    if (!key || !address || n == ARRAY_LEN(kind_words) || (n == SOCK_UNIX && !path)) {
        free(key);
        free(address);
        free(path);
        return NULL;
    }
    k = xcalloc(1, sizeof(*k));
    *k = (struct sock){.app = (uint64_t)json_integer_value(json_object_get(j, "app")),
                       .key = key,
                       .kind = (enum sock_kind)n,
                       .address = address,
                       .path = path,
                       .port = (int)json_integer_value(json_object_get(j, "port")),
                       .file = {(uint64_t)json_integer_value(json_object_get(j, "dev")),
                                (uint64_t)json_integer_value(json_object_get(j, "ino"))},
                       .configured = json_is_true(json_object_get(j, "configured")),
                       .replaced = json_is_true(json_object_get(j, "replaced")),
                       .released = json_is_true(json_object_get(j, "released")),
                       .extra = json_incref(json_object_get(j, "extra"))};
    return k;
}

void sockets_restore(struct sockets *s, struct kw_msg *m)
{
    const struct kw_msg known = {.token = m->token};
    int fd = kw_take_fd(m, KW_FD_SOCKET), meta = kw_take_fd(m, KW_FD_META);
    json_t *j = read_meta(meta);
    struct sock *k = j && fd >= 0 ? from_meta(j) : NULL;

    json_decref(j);
    if (meta >= 0)
        close(meta);
    if (!k || sockets_by_token(s, known.token)) {
        log_error("the socket %llu that the keeper holds cannot be used: %s",
                  (unsigned long long)(known.token & ~SOCKET_TOKEN_BIT),
                  fd < 0 ? "its descriptor did not come" : "what is known of it cannot be read");
        if (fd >= 0)
            close(fd);
        if (k) {
            free(k->key);
            free(k->address);
            free(k->path);
            json_decref(k->extra);
            free(k);
        }
        return;
    }
    k->fd = fd;
    k->token = known.token;
    sock_insert(s, k);
}

void sockets_restored(struct sockets *s)
{
    struct sock *k, *next;

    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, entry);
        if (!sock_app_known(s, k->app) ||
            (!k->n_runs && (k->replaced || k->released || !sock_app_up(s, k->app))))
            sock_close(k);
        else if (!k->n_runs && !k->configured)
            sock_linger(k, SOCK_ENDED_MS);
    }
}
