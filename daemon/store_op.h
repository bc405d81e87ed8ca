/*
 * What waits to be stored: copies of rows in the order in which they were given, and the questions that
 * wait among them. A queue is bounded: store_queue_shrink throws away what later rows make needless.
 */
#ifndef PM_DAEMON_STORE_OP_H
#define PM_DAEMON_STORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/store.h"

enum store_op_kind {
    OP_PUT_APP,
    OP_DEL_APP,
    OP_PUT_PROCESS,
    OP_DEL_PROCESS,
    OP_PUT_RUN,
    OP_PUT_EVENT,
    OP_PUT_SAVED,   /* with a NULL value: deletes */
    OP_PUT_SETTING, /* the same */
    OP_META,
    OP_RESET, /* forgets all rows that the engine has as well: too much was thrown away; the engine puts all
                 again */
    OP_COMMIT,
    OP_GET_RUNS,
    OP_GET_EVENTS
};

enum store_meta_key { META_NEXT_RUN, META_NEXT_APP, META_LAST_RUN, META_STOPPED, META_KEY_COUNT };

struct store_meta_row {
    enum store_meta_key key;
    uint64_t value;
};

struct store_op {
    TAILQ_ENTRY(store_op) entry;
    enum store_op_kind kind;
    union {
        struct store_app app;
        struct store_process process;
        struct store_run run;
        struct store_event event;
        struct store_text text;
        struct store_meta_row meta;
        struct {
            store_done_cb done;
            void *arg;
        } commit;
        struct {
            uint32_t process;
            unsigned limit;
            store_runs_cb cb;
            void *arg;
        } get_runs;
        struct {
            uint64_t since_ms;
            unsigned limit;
            store_events_cb cb;
            void *arg;
        } get_events;
    };
    /* the strings of the row follow in the same allocation */
};

TAILQ_HEAD(store_op_list, store_op);

struct store_queue {
    struct store_op_list ops;
    size_t writes; /* rows; OP_COMMIT and OP_GET_* are not counted */
};

/* All on the heap; the caller (or the queue) frees with free(). Strings are copied. */
struct store_op *store_op_app(const struct store_app *app);
struct store_op *store_op_process(const struct store_process *p);
struct store_op *store_op_run(const struct store_run *run);
struct store_op *store_op_event(const struct store_event *ev);
struct store_op *store_op_text(enum store_op_kind kind, const struct store_text *t);
struct store_op *store_op_meta(enum store_meta_key key, uint64_t value);
struct store_op *store_op_plain(enum store_op_kind kind);

bool store_op_is_write(const struct store_op *op);

void store_queue_init(struct store_queue *q);
void store_queue_push(struct store_queue *q, struct store_op *op); /* takes the operation */
void store_queue_remove(struct store_queue *q, struct store_op *op);
void store_queue_concat(struct store_queue *to, struct store_queue *from);
void store_queue_clear(struct store_queue *q); /* frees all */

/* The highest run of the rows of processes and runs; 0 = none. */
uint64_t store_queue_last_run(const struct store_queue *q);

/* Of rows with one key the latest wins: a crash or a start changes a process's row several times. */
void store_queue_squeeze(struct store_queue *q);

/*
 * Brings the rows down to half of `bound` when there are more than `bound`: of rows with one key the latest
 * wins; then the oldest events go, then the oldest runs; and if even that is not enough, all rows are
 * replaced by one OP_RESET. Returns how many events and runs were lost.
 */
size_t store_queue_shrink(struct store_queue *q, size_t bound);

#endif
