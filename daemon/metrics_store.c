#include "daemon/metrics_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"

#define BATCH   10u /* s that are written at once */
#define VERSION 1   /* of the schema, PRAGMA user_version */
#define NONE    UINT32_MAX

const unsigned metrics_steps[METRICS_STEPS] = {1, 60, 600};
const unsigned metrics_keep[METRICS_STEPS] = {600, 86400, 30 * 86400};
static const char *const tables[METRICS_STEPS] = {"second", "minute", "tenmin"};

/* One second: what `data` of the table second is an array of, in the machine's own order of bytes. */
struct slot {
    uint32_t cpu; /* tenths of a percent; NONE = not looked at */
    uint32_t kib;
};

struct pending {
    struct metrics_key key;
    struct slot slots[BATCH];
};

/* Ten seconds of all. */
struct batch {
    uint64_t begin;    /* s; when n is not 0 */
    struct pending *v; /* by key */
    size_t n, cap;
};

/* Samples must go on while a disk hangs: so what is in memory has a lock of its own, inside of the other. */
struct metrics_store {
    char *path;
    pthread_mutex_t db_lock;
    sqlite3 *db; /* NULL while closed */
    sqlite3_stmt *put;

    pthread_mutex_t lock;
    struct batch now, full; /* `full`: waits for metrics_store_write */
};

/*
 * Keyed by time first: what is written together lies together, so that a thousand processes cost some 50
 * pages each ten seconds and not a thousand, and what is too old is one range.
 */
#define COLUMNS                                                                                              \
    "time INTEGER NOT NULL, app INTEGER NOT NULL, instance INTEGER NOT NULL, n INTEGER NOT NULL,"            \
    " cpu_min INTEGER NOT NULL, cpu_sum INTEGER NOT NULL, cpu_max INTEGER NOT NULL,"                         \
    " kib_min INTEGER NOT NULL, kib_sum INTEGER NOT NULL, kib_max INTEGER NOT NULL,"
#define KEY " PRIMARY KEY (time, app, instance)) WITHOUT ROWID;"

static const char schema[] = "CREATE TABLE second (" COLUMNS " data BLOB NOT NULL," KEY
                             "CREATE TABLE minute (" COLUMNS KEY "CREATE TABLE tenmin (" COLUMNS KEY;

/* When the engine was replaced within the ten seconds, the part with more of them stays. */
static const char put_sql[] =
    "INSERT OR REPLACE INTO second SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11 WHERE NOT EXISTS"
    " (SELECT 1 FROM second WHERE time = ?1 AND app = ?2 AND instance = ?3 AND n > ?4)";

struct metrics_store *metrics_store_new(const char *path)
{
    struct metrics_store *s = xcalloc(1, sizeof(*s));

    s->path = xstrdup(path);
    pthread_mutex_init(&s->db_lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void close_db(struct metrics_store *s)
{
    sqlite3_finalize(s->put);
    s->put = NULL;
    sqlite3_close(s->db);
    s->db = NULL;
}

static int fail(sqlite3 *db, struct err *e, const char *what)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM, rc = -EIO;

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        rc = -EBADMSG;
    else if (code == SQLITE_FULL)
        rc = -ENOSPC;
    return err_set(e, rc, "metrics.db: cannot %s: %s", what, db ? sqlite3_errmsg(db) : "out of memory");
}

static int run(sqlite3 *db, const char *sql, struct err *e, const char *what)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db, e, what);
}

static int version_of(sqlite3 *db, int *version)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL);

    if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        *version = sqlite3_column_int(st, 0);
    else
        rc = SQLITE_ERROR;
    sqlite3_finalize(st);
    return rc == SQLITE_OK ? 0 : -EIO;
}

/* A new file gets the tables; one of a newer version is left as it is. */
static int migrate(sqlite3 *db, struct err *e)
{
    _cleanup_free_ char *sql = NULL;
    int version = 0;

    if (version_of(db, &version) < 0)
        return fail(db, e, "read its version");
    if (version > VERSION)
        return err_set(e, -EPROTO,
                       "metrics.db is of a newer version of pm (schema %d): no history is kept until it is "
                       "removed or pm updated",
                       version);
    if (version == VERSION)
        return 0;
    if (asprintf(&sql, "BEGIN; %s PRAGMA user_version=%d; COMMIT", schema, VERSION) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    return run(db, sql, e, "make its tables");
}

static int open_once(struct metrics_store *s, struct err *e)
{
    _cleanup_close_ int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* not as umask has it */
    int rc;

    if (fd < 0)
        return err_set(e, -errno, "metrics.db: cannot open it: %s", strerror(errno));
    if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        rc = fail(s->db, e, "open it");
    else
        rc = run(s->db,
                 "PRAGMA busy_timeout=1000; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                 "PRAGMA cache_size=-128; PRAGMA wal_autocheckpoint=500; PRAGMA journal_size_limit=4194304",
                 e, "open it");
    if (rc == 0)
        rc = migrate(s->db, e);
    if (rc == 0 && sqlite3_prepare_v2(s->db, put_sql, -1, &s->put, NULL) != SQLITE_OK)
        rc = fail(s->db, e, "prepare a statement");
    if (rc < 0)
        close_db(s);
    return rc;
}

static void remove_files(const struct metrics_store *s)
{
    static const char *const ends[] = {"", "-wal", "-shm"};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%s", s->path, ends[i]) > 0)
            unlink(path);
    }
}

/* A file that was moved or deleted would be written to in vain. */
static bool is_gone(const struct metrics_store *s)
{
    int moved = 0;

    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

/* A damaged one: what was in it is lost, which hurts nobody much. */
static void give_up(struct metrics_store *s, const struct err *e)
{
    log_error("%s; the history of metrics begins anew", e->msg);
    close_db(s);
    remove_files(s);
}

static int open_db(struct metrics_store *s, struct err *e)
{
    int rc;

    if (s->db && is_gone(s))
        close_db(s);
    if (s->db)
        return 0;
    rc = open_once(s, e);
    if (rc != -EBADMSG)
        return rc;
    give_up(s, e);
    return open_once(s, e);
}

static int compare(const struct metrics_key *a, const struct metrics_key *b)
{
    if (a->app != b->app)
        return a->app < b->app ? -1 : 1;
    return a->instance < b->instance ? -1 : a->instance > b->instance;
}

/* Where the key is, or belongs. */
static size_t place(const struct batch *s, const struct metrics_key *key)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (compare(&s->v[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct pending *pending_of(const struct batch *s, const struct metrics_key *key)
{
    size_t i = place(s, key);

    return i < s->n && compare(&s->v[i].key, key) == 0 ? &s->v[i] : NULL;
}

static struct pending *pending_make(struct batch *s, const struct metrics_key *key)
{
    size_t i = place(s, key);

    if (i < s->n && compare(&s->v[i].key, key) == 0)
        return &s->v[i];
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap + s->cap / 2 : 16;
        s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
    }
    memmove(s->v + i + 1, s->v + i, (s->n - i) * sizeof(*s->v));
    s->n++;
    s->v[i] = (struct pending){.key = *key};
    for (unsigned k = 0; k < BATCH; k++)
        s->v[i].slots[k].cpu = NONE;
    return &s->v[i];
}

static bool holds(const struct batch *b, uint64_t time)
{
    return time >= b->begin && time < b->begin + BATCH;
}

void metrics_store_add(struct metrics_store *s, struct metrics_key key, uint64_t time, double cpu_percent,
                       uint64_t bytes)
{
    uint64_t cpu = cpu_percent > 0 ? (uint64_t)(cpu_percent * 10 + 0.5) : 0, kib = bytes / 1024;
    const struct slot slot = {.cpu = cpu < NONE ? (uint32_t)cpu : NONE - 1,
                              .kib = kib < UINT32_MAX ? (uint32_t)kib : UINT32_MAX};

    pthread_mutex_lock(&s->lock);
    if (!s->now.n)
        s->now.begin = time - time % BATCH;
    if (holds(&s->now, time))
        pending_make(&s->now, &key)->slots[time - s->now.begin] = slot;
    pthread_mutex_unlock(&s->lock);
}

bool metrics_store_roll(struct metrics_store *s, uint64_t time)
{
    bool waits;

    pthread_mutex_lock(&s->lock);
    if (s->now.n && !holds(&s->now, time)) { /* also when the clock was set back */
        if (!s->full.n) {
            struct batch empty = s->full;

            s->full = s->now;
            s->now = empty;
        }
        s->now.n = 0; /* the disk has not taken the ten seconds before: these are lost */
    }
    waits = s->full.n > 0;
    pthread_mutex_unlock(&s->lock);
    return waits;
}

struct sums {
    uint64_t n, cpu_sum, kib_sum;
    uint32_t cpu_min, cpu_max, kib_min, kib_max;
};

static struct sums sums_of(const struct slot *slots)
{
    struct sums t = {.cpu_min = NONE, .kib_min = NONE};

    for (unsigned i = 0; i < BATCH; i++) {
        const struct slot *s = &slots[i];

        if (s->cpu == NONE)
            continue;
        t.n++;
        t.cpu_sum += s->cpu;
        t.kib_sum += s->kib;
        t.cpu_min = s->cpu < t.cpu_min ? s->cpu : t.cpu_min;
        t.cpu_max = s->cpu > t.cpu_max ? s->cpu : t.cpu_max;
        t.kib_min = s->kib < t.kib_min ? s->kib : t.kib_min;
        t.kib_max = s->kib > t.kib_max ? s->kib : t.kib_max;
    }
    return t;
}

static int put_pending(struct metrics_store *s, uint64_t begin, const struct pending *p, struct err *e)
{
    const struct sums t = sums_of(p->slots);
    const uint64_t row[] = {begin,     p->key.app, p->key.instance, t.n,       t.cpu_min,
                            t.cpu_sum, t.cpu_max,  t.kib_min,       t.kib_sum, t.kib_max};

    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        sqlite3_bind_int64(s->put, (int)i + 1, (sqlite3_int64)row[i]);
    sqlite3_bind_blob(s->put, (int)ARRAY_LEN(row) + 1, p->slots, sizeof(p->slots), SQLITE_STATIC);
    int rc = sqlite3_step(s->put);
    sqlite3_reset(s->put);
    return rc == SQLITE_DONE ? 0 : fail(s->db, e, "store");
}

/* The rows of [from, from + step) of one table become one row of the next. */
static int gather(struct metrics_store *s, unsigned level, uint64_t from, struct err *e)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "INSERT OR REPLACE INTO %s SELECT %llu, app, instance, sum(n), min(cpu_min), sum(cpu_sum),"
             " max(cpu_max), min(kib_min), sum(kib_sum), max(kib_max) FROM %s"
             " WHERE time >= %llu AND time < %llu GROUP BY app, instance",
             tables[level], (unsigned long long)from, tables[level - 1], (unsigned long long)from,
             (unsigned long long)(from + metrics_steps[level]));
    return run(s->db, sql, e, "store");
}

static int prune(struct metrics_store *s, uint64_t now, struct err *e)
{
    int rc = 0;

    for (unsigned i = 0; i < METRICS_STEPS && rc == 0; i++) {
        char sql[128];

        /* A clock that was ahead has left rows that would never come of age. */
        snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE time < %llu OR time > %llu", tables[i],
                 (unsigned long long)(now > metrics_keep[i] ? now - metrics_keep[i] : 0),
                 (unsigned long long)now + 86400);
        rc = run(s->db, sql, e, "remove what is old");
    }
    return rc;
}

/* In the transaction. A minute that is not over yet is gathered as well, again and again: so nothing of it is
 * lost when the daemon ends. */
static int write_rows(struct metrics_store *s, struct err *e)
{
    const struct batch *b = &s->full;
    uint64_t minute = b->begin - b->begin % metrics_steps[1], ten = b->begin - b->begin % metrics_steps[2];
    bool minute_over = (b->begin + BATCH) % metrics_steps[1] == 0;
    int rc = 0;

    for (size_t i = 0; i < b->n && rc == 0; i++)
        rc = put_pending(s, b->begin, &b->v[i], e);
    if (rc == 0)
        rc = gather(s, 1, minute, e);
    if (rc == 0 && minute_over)
        rc = gather(s, 2, ten, e);
    if (rc == 0 && minute_over)
        rc = prune(s, b->begin + BATCH, e);
    return rc;
}

int metrics_store_write(struct metrics_store *s, struct err *e)
{
    int rc;

    pthread_mutex_lock(&s->db_lock);
    rc = open_db(s, e);
    if (rc == 0)
        rc = run(s->db, "BEGIN IMMEDIATE", e, "store");
    if (rc == 0) {
        rc = write_rows(s, e);
        if (rc == 0)
            rc = run(s->db, "COMMIT", e, "store");
        if (rc < 0)
            sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (rc == -EBADMSG)
        give_up(s, e);
    pthread_mutex_lock(&s->lock);
    s->full.n = 0;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_unlock(&s->db_lock);
    return rc;
}

void metrics_store_free(struct metrics_store *s)
{
    struct err e = {0};

    if (!s)
        return;
    if (metrics_store_roll(s, 0) && metrics_store_write(s, &e) < 0)
        log_warn("%s", e.msg);
    close_db(s);
    pthread_mutex_destroy(&s->db_lock);
    pthread_mutex_destroy(&s->lock);
    free(s->now.v);
    free(s->full.v);
    free(s->path);
    free(s);
}

struct points {
    struct metrics_point *v;
    size_t n, cap;
};

static struct metrics_point *point_add(struct points *p)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->v = xrealloc(p->v, p->cap * sizeof(*p->v));
    }
    p->v[p->n] = (struct metrics_point){0};
    return &p->v[p->n++];
}

static void add_slots(struct points *out, uint64_t begin, const struct slot *slots, uint64_t from,
                      uint64_t to)
{
    for (unsigned i = 0; i < BATCH; i++) {
        double cpu = slots[i].cpu / 10.0;
        uint64_t bytes = (uint64_t)slots[i].kib * 1024;

        if (slots[i].cpu != NONE && begin + i >= from && begin + i < to)
            *point_add(out) = (struct metrics_point){begin + i, 1, cpu, cpu, cpu, bytes, bytes, bytes};
    }
}

static void add_row(struct points *out, sqlite3_stmt *st)
{
    uint64_t n = (uint64_t)sqlite3_column_int64(st, 1);
    struct metrics_point *p;

    if (!n)
        return;
    p = point_add(out);
    p->time = (uint64_t)sqlite3_column_int64(st, 0);
    p->n = (uint32_t)n;
    p->cpu_min = (double)sqlite3_column_int64(st, 2) / 10;
    p->cpu_avg = (double)sqlite3_column_int64(st, 3) / 10 / (double)n;
    p->cpu_max = (double)sqlite3_column_int64(st, 4) / 10;
    p->memory_min = (uint64_t)sqlite3_column_int64(st, 5) * 1024;
    p->memory_avg = (uint64_t)sqlite3_column_int64(st, 6) * 1024 / n;
    p->memory_max = (uint64_t)sqlite3_column_int64(st, 7) * 1024;
}

static void add_found(struct points *out, sqlite3_stmt *st, bool slots, uint64_t from, uint64_t to)
{
    struct slot v[BATCH];

    if (!slots) {
        add_row(out, st);
    } else if (sqlite3_column_bytes(st, 8) == sizeof(v)) {
        memcpy(v, sqlite3_column_blob(st, 8), sizeof(v));
        add_slots(out, (uint64_t)sqlite3_column_int64(st, 0), v, from, to);
    }
}

/* One look-up for each time that there can be: the key begins with the time. */
static int read_rows(struct metrics_store *s, const struct metrics_key *key, unsigned level, uint64_t from,
                     uint64_t to, struct points *out, struct err *e)
{
    unsigned step = level ? metrics_steps[level] : BATCH;
    sqlite3_stmt *st;
    char sql[256];
    int rc = SQLITE_DONE;

    snprintf(sql, sizeof(sql),
             "SELECT time, n, cpu_min, cpu_sum, cpu_max, kib_min, kib_sum, kib_max%s FROM %s"
             " WHERE time = ? AND app = ? AND instance = ?",
             level ? "" : ", data", tables[level]);
    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        return fail(s->db, e, "read");
    sqlite3_bind_int64(st, 2, (sqlite3_int64)key->app);
    sqlite3_bind_int64(st, 3, key->instance);
    for (uint64_t t = from - from % step; t < to && rc == SQLITE_DONE; t += step) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)t);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW)
            add_found(out, st, level == 0, from, to);
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? 0 : fail(s->db, e, "read");
}

/* Of those in memory. */
static void add_pending(struct points *out, const struct batch *b, const struct metrics_key *key,
                        uint64_t from, uint64_t to)
{
    const struct pending *p = pending_of(b, key);

    if (p)
        add_slots(out, b->begin, p->slots, from, to);
}

long metrics_store_read(struct metrics_store *s, struct metrics_key key, unsigned step, uint64_t from,
                        uint64_t to, struct metrics_point **out, struct err *e)
{
    struct points points = {0};
    unsigned level = 0;
    int rc;

    while (level + 1 < METRICS_STEPS && metrics_steps[level] != step)
        level++;
    /* Nothing older is kept: so many look-ups at most. */
    if (to > metrics_keep[level] && from < to - metrics_keep[level])
        from = to - metrics_keep[level];
    pthread_mutex_lock(&s->db_lock);
    rc = open_db(s, e);
    if (rc == 0)
        rc = read_rows(s, &key, level, from, to, &points, e);
    pthread_mutex_lock(&s->lock);
    if (rc == 0 && level == 0) {
        add_pending(&points, &s->full, &key, from, to);
        add_pending(&points, &s->now, &key, from, to);
    }
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_unlock(&s->db_lock);
    if (rc < 0) {
        free(points.v);
        return rc;
    }
    *out = points.v;
    return (long)points.n;
}
