#include "keeper/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"

#define MAGIC     0x3172657065656b70ull /* "pkeeper1" */
#define FRAME_MAX (PATH_MAX + 1024u)
#define HEAD_SIZE 16u /* of a frame: kind, length */
#define SEALS     (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

enum frame_kind {
    FRAME_BEGIN = 1, /* magic, version */
    FRAME_KEEPER,
    FRAME_RECORD, /* token 0 is the daemon's own; sockets have SOCKET_TOKEN_BIT */
    FRAME_END,    /* number of records: nothing is missing */
};

/* One frame, being written or read. Each kind has one function for both ways, so that they cannot differ. */
struct frame {
    bool reading;
    bool bad; /* reading: makes no sense; writing: no room */
    size_t at, len;
    uint8_t bytes[FRAME_MAX];
};

static uint64_t number(struct frame *f, uint64_t value)
{
    if (f->reading) {
        value = 0;
        /* The frame of an older writer ends before the fields that it does not know. */
        for (unsigned i = 0; i < 8 && f->at < f->len; i++)
            value |= (uint64_t)f->bytes[f->at++] << (8 * i);
        return value;
    }
    if (f->len + 8 > sizeof(f->bytes)) {
        f->bad = true;
        return value;
    }
    for (unsigned i = 0; i < 8; i++)
        f->bytes[f->len++] = (uint8_t)(value >> (8 * i));
    return value;
}

#define NUMBER(f, x) ((x) = (__typeof__(x))number((f), (uint64_t)(x)))

static void bytes(struct frame *f, void *data, size_t len)
{
    if (f->reading) {
        if (len > f->len - f->at) {
            f->bad = true;
            return;
        }
        memcpy(data, f->bytes + f->at, len);
        f->at += len;
        return;
    }
    if (len > sizeof(f->bytes) - f->len) {
        f->bad = true;
        return;
    }
    memcpy(f->bytes + f->len, data, len);
    f->len += len;
}

/* One more than the number, so that a field that an older writer did not know is no descriptor. */
static void descriptor(struct frame *f, int *fd)
{
    uint64_t n = number(f, (uint64_t)(*fd + 1));

    if (!f->reading)
        return;
    *fd = n > INT_MAX ? -1 : (int)n - 1;
    if (n > INT_MAX || (*fd >= 0 && (*fd <= STDERR_FILENO || fcntl(*fd, F_GETFD) < 0))) {
        f->bad = true;
        *fd = -1;
    }
}

static void text(struct frame *f, char *out, size_t size)
{
    size_t len = f->reading ? 0 : strlen(out);

    NUMBER(f, len);
    if (len >= size) {
        f->bad = true;
        return;
    }
    bytes(f, out, len);
    out[len] = '\0';
}

/* True when it is to be found by its pid. */
static bool record_frame(struct frame *f, struct record *r)
{
    uint64_t kinds = KW_FD_COUNT;
    bool in_pids = r->in_pids;

    NUMBER(f, r->proc);
    NUMBER(f, r->flags);
    NUMBER(f, r->pid);
    NUMBER(f, r->step);
    NUMBER(f, r->error);
    NUMBER(f, r->wait_status);
    NUMBER(f, r->start_ticks);
    NUMBER(f, r->start_us);
    NUMBER(f, r->end_us);
    NUMBER(f, r->utime_us);
    NUMBER(f, r->stime_us);
    NUMBER(f, r->maxrss_bytes);
    NUMBER(f, r->reaped);
    NUMBER(f, r->acked);
    NUMBER(f, in_pids);
    NUMBER(f, r->note_len);
    if (r->note_len > KW_NOTE_MAX) {
        r->note_len = 0;
        f->bad = true;
    }
    bytes(f, r->note, r->note_len);
    descriptor(f, &r->exec_fd);
    NUMBER(f, kinds);
    if (kinds > KW_FD_COUNT) {
        f->bad = true; /* a newer writer holds something that nobody would know here */
        return false;
    }
    for (uint64_t i = 0; i < kinds; i++)
        descriptor(f, &r->fds[i]);
    return in_pids;
}

static void engine_frame(struct frame *f, struct engine *e)
{
    NUMBER(f, e->pid);
    descriptor(f, &e->pidfd);
    NUMBER(f, e->ours);
    descriptor(f, &e->err_fd);
    NUMBER(f, e->started_ms);
    NUMBER(f, e->backoff_ms);
    NUMBER(f, e->failures);
    NUMBER(f, e->starts);
    NUMBER(f, e->serves);
    descriptor(f, &e->image);
    NUMBER(f, e->fell_back);
}

static void keeper_frame(struct frame *f, struct keeper *k)
{
    text(f, k->program, sizeof(k->program));
    NUMBER(f, k->foreground);
    NUMBER(f, k->attached);
    NUMBER(f, k->child_nofile.rlim_cur);
    NUMBER(f, k->child_nofile.rlim_max);
    NUMBER(f, k->table.highest);
    descriptor(f, &k->link.fd);
    engine_frame(f, &k->engine);
}

static int put_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static struct frame *open_frame(struct frame *f, enum frame_kind kind)
{
    f->reading = f->bad = false;
    f->len = 0;
    number(f, kind);
    number(f, 0); /* the length, see put_frame */
    return f;
}

static int put_frame(int fd, struct frame *f)
{
    size_t len = f->len;

    if (f->bad)
        return -EMSGSIZE;
    f->len = HEAD_SIZE / 2;
    number(f, len - HEAD_SIZE);
    return put_all(fd, f->bytes, len);
}

static int put_record(int fd, struct frame *f, struct record *r)
{
    number(open_frame(f, FRAME_RECORD), r->token);
    record_frame(f, r);
    return put_frame(fd, f);
}

static int put_everything(struct keeper *k, int fd)
{
    static struct frame f; /* there is one keeper */
    struct record *r;
    int rc;

    number(open_frame(&f, FRAME_BEGIN), MAGIC);
    number(&f, HANDOVER_VERSION);
    if ((rc = put_frame(fd, &f)) < 0)
        return rc;
    keeper_frame(open_frame(&f, FRAME_KEEPER), k);
    if ((rc = put_frame(fd, &f)) < 0 || (rc = put_record(fd, &f, &k->table.self)) < 0)
        return rc;
    TAILQ_FOREACH (r, &k->table.all, all) {
        if ((rc = put_record(fd, &f, r)) < 0)
            return rc;
    }
    TAILQ_FOREACH (r, &k->table.sockets, all) {
        if ((rc = put_record(fd, &f, r)) < 0)
            return rc;
    }
    number(open_frame(&f, FRAME_END), k->table.count + k->table.n_sockets);
    return put_frame(fd, &f);
}

int handover_write(struct keeper *k, struct err *e)
{
    int fd = memfd_create("pm-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

    if (fd < 0)
        return err_errno(e, "cannot create a memory file");
    rc = put_everything(k, fd);
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return err_set(e, rc, "cannot write down what the keeper knows: %s", strerror(-rc));
}

static int get_all(int fd, uint8_t *data, size_t len, off_t *at)
{
    while (len) {
        ssize_t n = pread(fd, data, len, *at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        data += n;
        len -= (size_t)n;
        *at += n;
    }
    return 0;
}

/* The kind of the next frame, which is in *f then, or negative errno. */
static int get_frame(int fd, struct frame *f, off_t *at)
{
    uint64_t kind, len;
    int rc;

    f->reading = true;
    f->bad = false;
    f->at = 0;
    f->len = HEAD_SIZE;
    rc = get_all(fd, f->bytes, HEAD_SIZE, at);
    if (rc < 0)
        return rc;
    kind = number(f, 0);
    len = number(f, 0);
    if (kind < FRAME_BEGIN || kind > FRAME_END || len > sizeof(f->bytes))
        return -EBADMSG;
    f->at = 0;
    f->len = (size_t)len;
    rc = get_all(fd, f->bytes, f->len, at);
    return rc < 0 ? rc : (int)kind;
}

static int take_record(struct keeper *k, struct frame *f)
{
    uint64_t token = number(f, 0);
    struct record *r = token ? table_add(&k->table, token) : &k->table.self;
    bool in_pids;

    if (token > TOKEN_LAST)
        return -EBADMSG;
    if (!r)
        return -errno;
    in_pids = record_frame(f, r);
    if (f->bad || (in_pids && (r->pid <= 0 || !token)))
        return -EBADMSG;
    if (in_pids)
        table_set_pid(&k->table, r, r->pid);
    return 0;
}

/* What a frame of this kind holds. 1: it was the last. */
static int take_frame(struct keeper *k, struct frame *f, int kind)
{
    switch (kind) {
    case FRAME_KEEPER:
        keeper_frame(f, k);
        return f->bad ? -EBADMSG : 0;
    case FRAME_RECORD:
        return take_record(k, f);
    case FRAME_END:
        return number(f, 0) == k->table.count + k->table.n_sockets ? 1 : -EBADMSG;
    default:
        return -EBADMSG;
    }
}

int handover_read(struct keeper *k, int fd, struct err *e)
{
    static struct frame f;
    uint64_t version;
    off_t at = 0;
    int seals = fcntl(fd, F_GET_SEALS), rc;

    if (seals < 0 || (seals & SEALS) != SEALS)
        return err_set(e, -EBADMSG, "descriptor %d is no sealed memory file", fd);
    rc = get_frame(fd, &f, &at);
    if (rc != FRAME_BEGIN || number(&f, 0) != MAGIC)
        return err_set(e, -EBADMSG, "descriptor %d is not what a keeper writes", fd);
    version = number(&f, 0);
    if (version < HANDOVER_OLDEST || version > HANDOVER_VERSION)
        return err_set(e, -EPROTO, "what the keeper wrote has version %llu, this pmd reads %d to %d",
                       (unsigned long long)version, HANDOVER_OLDEST, HANDOVER_VERSION);
    do {
        rc = get_frame(fd, &f, &at);
        if (rc > 0)
            rc = take_frame(k, &f, rc);
    } while (rc == 0);
    if (rc < 0)
        return err_set(e, rc, "what the keeper wrote cannot be read near byte %lld: %s", (long long)at,
                       strerror(-rc));
    return 0;
}

static void keep(int fd, bool on)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

static void keep_record(const struct record *r, bool on)
{
    keep(r->exec_fd, on);
    for (int i = 0; i < KW_FD_COUNT; i++)
        keep(r->fds[i], on);
}

void handover_keep_open(struct keeper *k, bool on)
{
    struct record *r;

    keep(k->link.fd, on);
    keep(k->engine.pidfd, on);
    keep(k->engine.err_fd, on);
    keep(k->engine.image, on);
    keep_record(&k->table.self, on);
    TAILQ_FOREACH (r, &k->table.sockets, all) {
        keep_record(r, on);
    }
    TAILQ_FOREACH (r, &k->table.all, all) {
        keep_record(r, on);
    }
}
