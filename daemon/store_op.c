#include "daemon/store_op.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* An operation with room for its strings behind it, which take() fills. */
struct maker {
    struct store_op *op;
    char *at;
};

static size_t room(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static struct maker make(enum store_op_kind kind, size_t strings)
{
    struct store_op *op = xmalloc(sizeof(*op) + strings);

    memset(op, 0, sizeof(*op));
    op->kind = kind;
    return (struct maker){op, (char *)(op + 1)};
}

static void take(struct maker *m, const char **field, const char *s)
{
    size_t n = room(s);

    *field = s ? m->at : NULL;
    if (s)
        memcpy(m->at, s, n);
    m->at += n;
}

struct store_op *store_op_plain(enum store_op_kind kind)
{
    return make(kind, 0).op;
}

struct store_op *store_op_app(const struct store_app *app)
{
    struct maker m = make(OP_PUT_APP, room(app->json));

    m.op->app = *app;
    take(&m, &m.op->app.json, app->json);
    return m.op;
}

struct store_op *store_op_process(const struct store_process *p)
{
    struct maker m =
        make(OP_PUT_PROCESS, room(p->state) + room(p->desired) + room(p->reason) + room(p->last_reason));
    struct store_process *to = &m.op->process;

    *to = *p;
    take(&m, &to->state, p->state);
    take(&m, &to->desired, p->desired);
    take(&m, &to->reason, p->reason);
    take(&m, &to->last_reason, p->last_reason);
    return m.op;
}

struct store_op *store_op_run(const struct store_run *run)
{
    struct maker m =
        make(OP_PUT_RUN, room(run->app_name) + room(run->reason) + room(run->detail) + room(run->by));
    struct store_run *to = &m.op->run;

    *to = *run;
    take(&m, &to->app_name, run->app_name);
    take(&m, &to->reason, run->reason);
    take(&m, &to->detail, run->detail);
    take(&m, &to->by, run->by);
    return m.op;
}

struct store_op *store_op_event(const struct store_event *ev)
{
    struct maker m = make(OP_PUT_EVENT, room(ev->kind) + room(ev->json));

    m.op->event = *ev;
    take(&m, &m.op->event.kind, ev->kind);
    take(&m, &m.op->event.json, ev->json);
    return m.op;
}

struct store_op *store_op_text(enum store_op_kind kind, const struct store_text *t)
{
    struct maker m = make(kind, room(t->key) + room(t->value));

    take(&m, &m.op->text.key, t->key);
    take(&m, &m.op->text.value, t->value);
    return m.op;
}

struct store_op *store_op_meta(enum store_meta_key key, uint64_t value)
{
    struct store_op *op = store_op_plain(OP_META);

    op->meta = (struct store_meta_row){key, value};
    return op;
}

bool store_op_is_write(const struct store_op *op)
{
    return op->kind != OP_COMMIT && op->kind != OP_GET_RUNS && op->kind != OP_GET_EVENTS;
}

void store_queue_init(struct store_queue *q)
{
    TAILQ_INIT(&q->ops);
    q->writes = 0;
}

void store_queue_push(struct store_queue *q, struct store_op *op)
{
    TAILQ_INSERT_TAIL(&q->ops, op, entry);
    q->writes += store_op_is_write(op);
}

void store_queue_remove(struct store_queue *q, struct store_op *op)
{
    TAILQ_REMOVE(&q->ops, op, entry);
    q->writes -= store_op_is_write(op);
}

void store_queue_concat(struct store_queue *to, struct store_queue *from)
{
    TAILQ_CONCAT(&to->ops, &from->ops, entry);
    to->writes += from->writes;
    from->writes = 0;
}

uint64_t store_queue_last_run(const struct store_queue *q)
{
    const struct store_op *op;
    uint64_t last = 0;

    TAILQ_FOREACH (op, &q->ops, entry) {
        uint64_t run = op->kind == OP_PUT_PROCESS ? op->process.run
                       : op->kind == OP_PUT_RUN   ? op->run.run
                                                  : 0;

        last = run > last ? run : last;
    }
    return last;
}

static void drop(struct store_queue *q, struct store_op *op)
{
    store_queue_remove(q, op);
    free(op);
}

void store_queue_clear(struct store_queue *q)
{
    struct store_op *op, *next;

    for (op = TAILQ_FIRST(&q->ops); op; op = next) {
        next = TAILQ_NEXT(op, entry);
        free(op);
    }
    store_queue_init(q);
}

/* Which row an operation is about. */
struct row_key {
    char table; /* 0: no key, every row is its own */
    bool del;
    uint64_t id;
};

static struct row_key key_of(const struct store_op *op)
{
    switch (op->kind) {
    case OP_PUT_APP:
    case OP_DEL_APP:
        return (struct row_key){'a', op->kind == OP_DEL_APP, op->app.id};
    case OP_PUT_PROCESS:
    case OP_DEL_PROCESS:
        return (struct row_key){'p', op->kind == OP_DEL_PROCESS, op->process.id};
    case OP_PUT_RUN:
        return (struct row_key){'r', false, op->run.run};
    case OP_META:
        return (struct row_key){'m', false, op->meta.key};
    case OP_RESET:
        return (struct row_key){'R', false, 0};
    case OP_PUT_EVENT:
    case OP_PUT_SAVED:
    case OP_PUT_SETTING:
    case OP_COMMIT:
    case OP_GET_RUNS:
    case OP_GET_EVENTS:
        break;
    }
    return (struct row_key){0};
}

/* A set of keys: open addressing, twice as many slots as can come in. */
struct key_set {
    struct row_key *slots;
    size_t mask;
};

static bool key_set_add(struct key_set *set, struct row_key k)
{
    size_t at = (size_t)((k.id + (unsigned char)k.table * 31u + k.del) * 0x9e3779b97f4a7c15u >> 20);

    for (at &= set->mask; set->slots[at].table; at = (at + 1) & set->mask)
        if (set->slots[at].table == k.table && set->slots[at].id == k.id && set->slots[at].del == k.del)
            return false;
    set->slots[at] = k;
    return true;
}

/*
 * From the newest backwards. A put goes when there is any later row of its key; a delete only when there is
 * a later delete, because deleting a process also deletes its runs, which a later put does not.
 */
void store_queue_squeeze(struct store_queue *q)
{
    struct key_set any = {.mask = 1}, dels;
    struct store_op *op, *before;

    if (q->writes < 2)
        return;
    while (any.mask < q->writes * 2)
        any.mask *= 2;
    dels.mask = --any.mask;
    any.slots = xcalloc(any.mask + 1, sizeof(*any.slots));
    dels.slots = xcalloc(dels.mask + 1, sizeof(*dels.slots));
    for (op = TAILQ_LAST(&q->ops, store_op_list); op; op = before) {
        struct row_key k = key_of(op);
        bool is_del = k.del, later;

        before = TAILQ_PREV(op, store_op_list, entry);
        if (!k.table)
            continue;
        k.del = false;
        later = !key_set_add(&any, k);
        if (is_del)
            later = !key_set_add(&dels, k);
        if (later)
            drop(q, op);
    }
    free(any.slots);
    free(dels.slots);
}

static size_t drop_oldest(struct store_queue *q, enum store_op_kind kind, size_t target)
{
    struct store_op *op, *next;
    size_t dropped = 0;

    for (op = TAILQ_FIRST(&q->ops); op && q->writes > target; op = next) {
        next = TAILQ_NEXT(op, entry);
        if (op->kind != kind)
            continue;
        drop(q, op);
        dropped++;
    }
    return dropped;
}

static void reset_rows(struct store_queue *q)
{
    struct store_op *op, *next, *reset = store_op_plain(OP_RESET);

    for (op = TAILQ_FIRST(&q->ops); op; op = next) {
        next = TAILQ_NEXT(op, entry);
        if (store_op_is_write(op) && op->kind != OP_META)
            drop(q, op);
    }
    TAILQ_INSERT_HEAD(&q->ops, reset, entry);
    q->writes++;
}

size_t store_queue_shrink(struct store_queue *q, size_t bound)
{
    size_t lost = 0;

    if (q->writes <= bound)
        return 0;
    store_queue_squeeze(q);
    lost += drop_oldest(q, OP_PUT_EVENT, bound / 2);
    lost += drop_oldest(q, OP_PUT_RUN, bound / 2);
    if (q->writes > bound / 2)
        reset_rows(q);
    return lost;
}
