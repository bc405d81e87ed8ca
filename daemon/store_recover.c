/* Where the database comes from: the file, its copy, or a new one; and what happens to a damaged one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/store_files.h"
#include "daemon/store_int.h"

/* Ids that may have been given out since the copy was made: more than any system starts in the time between
 * two copies. */
#define RUNS_SINCE_COPY (1u << 20)
#define APPS_SINCE_COPY (1u << 10)

static void add_words(char *to, size_t cap, const char *words)
{
    size_t len = strlen(to);

    snprintf(to + len, cap - len, "%s%s", len ? "; " : "", words);
}

static int open_and_load(struct store *s, const char *path, enum store_open_mode mode,
                         struct store_image *image, struct err *e)
{
    int rc = store_db_open(&s->db, path, mode, e);

    if (rc < 0)
        return rc;
    rc = store_db_load(&s->db, image, e);
    if (rc < 0 || mode == STORE_OPEN_READ)
        store_db_close(&s->db, false);
    return rc;
}

static void random_id(char out[33])
{
    unsigned char raw[16];
    size_t got = 0;

    while (got < sizeof(raw)) {
        ssize_t n = getrandom(raw + got, sizeof(raw) - got, 0);

        if (n < 0 && errno != EINTR)
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < sizeof(raw); i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

/* An image of nothing. After a loss the ids begin at the clock, beyond all that counting can have reached. */
static void new_image(const struct store *s, struct store_image *image, bool first)
{
    uint64_t now_s = clock_wall_ms() / 1000;

    if (store_files_read_id(s->path, image->home_id) < 0)
        random_id(image->home_id);
    image->next_run = first ? 1 : now_s << 10;
    image->next_app = first ? 1 : now_s;
    image->fresh = first;
}

static void remove_database(const char *path)
{
    _cleanup_free_ char *wal = xasprintf("%s-wal", path);
    _cleanup_free_ char *shm = xasprintf("%s-shm", path);

    unlink(wal);
    unlink(shm);
    unlink(path);
}

/* The copy put in place of the database; when there is no room for that, it is read where it is. */
static int take_backup(struct store *s, struct store_image *image, struct err *e)
{
    int rc = store_files_copy(s->backup_path, s->path, e);

    if (rc == 0) {
        rc = open_and_load(s, s->path, STORE_OPEN_CHECKED, image, e);
        if (rc < 0)
            remove_database(s->path);
    }
    if (rc < 0 && rc != -EBADMSG && rc != -EPROTO)
        rc = open_and_load(s, s->backup_path, STORE_OPEN_READ, image, e);
    if (rc < 0)
        return rc;
    s->use_backup = true;
    image->from_backup = true;
    image->next_run += RUNS_SINCE_COPY;
    image->next_app += APPS_SINCE_COPY;
    return 0;
}

static void without_database(struct store *s, struct store_image *image, char *trouble, size_t cap)
{
    bool lost = trouble[0] != '\0';
    bool copy = access(s->backup_path, F_OK) == 0;
    char id[33];
    struct err e = {0};

    if (!lost && (copy || store_files_read_id(s->path, id) == 0)) {
        add_words(trouble, cap, "state.db was missing");
        lost = true;
    }
    if (copy) {
        char aside[4200], words[600];

        if (take_backup(s, image, &e) == 0) {
            add_words(trouble, cap, "continuing from its last copy, state.db.bak");
            return;
        }
        store_files_set_aside(s->backup_path, "corrupt", aside, sizeof(aside), NULL);
        snprintf(words, sizeof(words), "its copy state.db.bak is of no use (%.200s) and was kept as %.300s",
                 e.msg, aside);
        add_words(trouble, cap, words);
    }
    new_image(s, image, !lost);
    if (lost)
        add_words(trouble, cap, "beginning anew with what is running");
}

int store_first_image(struct store *s, struct store_image *image, char *trouble, size_t cap, struct err *e)
{
    int rc = open_and_load(s, s->path, STORE_OPEN_CHECKED, image, e);
    char aside[4200], words[900];

    if (rc < 0 && rc != -ENOENT && rc != -EBADMSG && rc != -EPROTO) {
        struct err again = {0};
        int readable = open_and_load(s, s->path, STORE_OPEN_READ, image, &again);

        if (readable == 0) {
            snprintf(trouble, cap, "%s", e->msg);
            return 0;
        }
        if (readable == -EBADMSG) {
            rc = readable;
            *e = again;
        }
    }
    if (rc == -EBADMSG) {
        snprintf(words, sizeof(words), "%s", e->msg);
        rc = store_files_set_aside(s->path, "corrupt", aside, sizeof(aside), e);
        if (rc < 0)
            return rc;
        snprintf(trouble, cap, "%.300s; the file was kept as %.500s", words, aside);
        rc = -ENOENT;
    }
    if (rc == -ENOENT) {
        without_database(s, image, trouble, cap);
        rc = 0;
    }
    return rc;
}

int store_reopen(struct store *s, struct err *e)
{
    bool empty = false;
    int rc;

    if (access(s->path, F_OK) < 0) {
        empty = !s->use_backup;
        rc = empty ? store_db_create(s->path, &s->id, e) : store_files_copy(s->backup_path, s->path, e);
        if (rc < 0)
            return rc;
    }
    rc = store_db_open(&s->db, s->path, STORE_OPEN_AGAIN, e);
    if (rc < 0)
        return rc;
    s->use_backup = false;
    s->resync_now = empty && s->had_rows;
    s->had_rows = true;
    return 0;
}

int store_give_up_file(struct store *s, int why, struct err *e)
{
    bool damaged = why == -EBADMSG;
    char aside[4200];
    int rc;

    log_error("%s", damaged ? e->msg : "state.db was moved, replaced or deleted while in use");
    store_db_close(&s->db, false);
    s->use_backup = false;
    s->incomplete = true;
    /* The copy must not be overtaken by a database that is not complete yet. */
    s->backup_at = clock_mono_ms() + store_tuning.backup_every_ms;
    rc = store_files_set_aside(s->path, damaged ? "corrupt" : "replaced", aside, sizeof(aside), e);
    if (rc == 0 && access(aside, F_OK) == 0)
        log_error("the file that was there is kept as %s", aside);
    return rc;
}
