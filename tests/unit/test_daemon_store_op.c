#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store_op.h"

static struct store_op *put(struct store_queue *q, uint32_t id, uint32_t restarts)
{
    struct store_process p = {.id = id, .state = "online", .restarts = restarts};
    struct store_op *op = store_op_process(&p);

    store_queue_push(q, op);
    return op;
}

static void del(struct store_queue *q, uint32_t id)
{
    struct store_op *op = store_op_plain(OP_DEL_PROCESS);

    op->process.id = id;
    store_queue_push(q, op);
}

static void event(struct store_queue *q, uint64_t time)
{
    struct store_event ev = {.time_ms = time, .kind = "k", .json = "t"};

    store_queue_push(q, store_op_event(&ev));
}

static void run(struct store_queue *q, uint64_t id)
{
    struct store_run r = {.run = id};

    store_queue_push(q, store_op_run(&r));
}

static size_t count(const struct store_queue *q, enum store_op_kind kind)
{
    const struct store_op *op;
    size_t n = 0;

    TAILQ_FOREACH (op, &q->ops, entry)
        n += op->kind == kind;
    return n;
}

static void strings_are_copied(void **state)
{
    char text[] = "online";
    struct store_process p = {.id = 1, .state = text, .desired = "", .reason = NULL};
    struct store_op *op = store_op_process(&p);

    (void)state;
    memset(text, 'x', 6);
    assert_string_equal(op->process.state, "online");
    assert_string_equal(op->process.desired, "");
    assert_null(op->process.reason);
    free(op);
}

static void latest_wins(void **state)
{
    struct store_queue q;
    const struct store_op *op;

    (void)state;
    store_queue_init(&q);
    for (uint32_t round = 0; round < 50; round++)
        for (uint32_t id = 0; id < 5; id++)
            put(&q, id, round);
    store_queue_push(&q, store_op_plain(OP_COMMIT));
    store_queue_push(&q, store_op_meta(META_NEXT_RUN, 1));
    store_queue_push(&q, store_op_meta(META_NEXT_RUN, 2));
    store_queue_push(&q, store_op_meta(META_NEXT_APP, 3));
    assert_int_equal(store_queue_shrink(&q, 1000), 0); /* nothing to do */
    assert_int_equal(q.writes, 253);
    assert_int_equal(store_queue_shrink(&q, 100), 0);
    assert_int_equal(q.writes, 7);
    assert_int_equal(count(&q, OP_COMMIT), 1);
    TAILQ_FOREACH (op, &q.ops, entry)
        if (op->kind == OP_PUT_PROCESS)
            assert_int_equal(op->process.restarts, 49);
        else if (op->kind == OP_META && op->meta.key == META_NEXT_RUN)
            assert_int_equal(op->meta.value, 2);
    store_queue_clear(&q);
    assert_int_equal(q.writes, 0);
}

/* A delete also deletes the runs, so a later put of the same id does not replace it. */
static void delete_stays_before_put(void **state)
{
    struct store_queue q;
    struct store_op *first;

    (void)state;
    store_queue_init(&q);
    put(&q, 1, 1);
    del(&q, 1);
    put(&q, 1, 2);
    put(&q, 2, 1);
    del(&q, 2);
    store_queue_shrink(&q, 4);
    assert_int_equal(q.writes, 1); /* 3 would be more than half of the bound: a reset */
    store_queue_clear(&q);

    put(&q, 1, 1);
    del(&q, 1);
    put(&q, 1, 2);
    for (uint64_t i = 0; i < 10; i++)
        event(&q, i);
    store_queue_shrink(&q, 12);
    first = TAILQ_FIRST(&q.ops);
    assert_int_equal(first->kind, OP_DEL_PROCESS);
    assert_int_equal(TAILQ_NEXT(first, entry)->kind, OP_PUT_PROCESS);
    assert_int_equal(q.writes, 6);
    store_queue_clear(&q);
}

static void events_go_before_runs(void **state)
{
    struct store_queue q;

    (void)state;
    store_queue_init(&q);
    for (uint64_t i = 0; i < 100; i++) {
        event(&q, i);
        run(&q, i);
        put(&q, (uint32_t)i % 10, 0);
    }
    assert_int_equal(store_queue_shrink(&q, 250), 85);
    assert_int_equal(count(&q, OP_PUT_RUN), 100);
    assert_int_equal(count(&q, OP_PUT_EVENT), 15);
    assert_int_equal(count(&q, OP_PUT_PROCESS), 10);
    assert_int_equal(store_queue_shrink(&q, 100), 75);
    assert_int_equal(count(&q, OP_PUT_RUN), 40);
    assert_int_equal(count(&q, OP_PUT_EVENT), 0);
    store_queue_clear(&q);
}

static void too_many_rows_become_a_reset(void **state)
{
    struct store_queue q;

    (void)state;
    store_queue_init(&q);
    for (uint32_t i = 0; i < 300; i++)
        put(&q, i, 0);
    store_queue_push(&q, store_op_meta(META_NEXT_RUN, 2));
    store_queue_push(&q, store_op_plain(OP_GET_RUNS));
    store_queue_shrink(&q, 200);
    assert_int_equal(TAILQ_FIRST(&q.ops)->kind, OP_RESET);
    assert_int_equal(q.writes, 2);
    assert_int_equal(count(&q, OP_META), 1);
    assert_int_equal(count(&q, OP_GET_RUNS), 1);
    store_queue_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_copied),           cmocka_unit_test(latest_wins),
        cmocka_unit_test(delete_stays_before_put),      cmocka_unit_test(events_go_before_runs),
        cmocka_unit_test(too_many_rows_become_a_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
