#include "unit.h"

#include "store_bench.h"

#include <errno.h>

#include "common/fs.h"

static void round_trip(void **state)
{
    struct bench b;
    struct store_process p = bench_process(3);
    char boot[37];
    struct stat st;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    assert_int_equal(b.open_rc, 0);
    assert_true(b.fresh);
    assert_string_equal(b.trouble, "");
    assert_int_equal(strlen(b.home_id), 32);
    assert_int_equal(b.next_run, 1);
    bench_put_app(&b, 7, "{\"name\":\"api\"}");
    bench_put_app(&b, 8, "{}");
    bench_put_app(&b, 8, "{\"name\":\"\xc3\xa9\"}");
    p.restarts = 12;
    p.fresh = true;
    p.last_core = 1;
    store_put_process(b.s, &p);
    bench_put(&b, 4);
    store_del_process(b.s, 4);
    store_put_event(b.s, &(struct store_event){5, "start", 3, 43, "{}"});
    store_set_ended(b.s, STORE_TERMINATED);
    store_put_saved(b.s, "last", "{\"apps\":[]}");
    store_put_saved(b.s, "before", "x");
    store_put_setting(b.s, "a:b", "1");
    assert_int_equal(bench_commit(&b), 0);
    assert_int_equal(stat(b.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    bench_close(&b);

    bench_open(&b);
    assert_false(b.fresh);
    assert_true(b.stopped);
    assert_int_equal(b.n_apps, 2);
    assert_string_equal(b.json[1], "{\"name\":\"\xc3\xa9\"}");
    assert_int_equal(b.n_processes, 1);
    assert_int_equal(b.processes[0].id, 3);
    assert_int_equal(b.processes[0].restarts, 12);
    assert_int_equal(b.processes[0].pipe_out, UINT64_MAX);
    assert_int_equal(b.processes[0].last_exit_code, -1);
    assert_true(b.processes[0].fresh);
    assert_string_equal(b.state[0], "online");
    fs_boot_id(boot);
    assert_string_equal(b.boot_id, boot);
    store_del_app(b.s, 8);
    store_set_ended(b.s, STORE_NOT_ENDED);
    assert_int_equal(b.n_saved, 2);
    assert_int_equal(b.n_settings, 1);
    assert_string_equal(b.setting, "a:b");
    store_put_saved(b.s, "before", NULL);
    store_put_setting(b.s, "a:b", NULL);
    bench_close(&b); /* stores what is queued */
    bench_open(&b);
    assert_int_equal(b.n_apps, 1);
    assert_false(b.stopped);
    assert_int_equal(b.n_saved, 1);
    assert_string_equal(b.saved, "{\"apps\":[]}");
    assert_int_equal(b.n_settings, 0);
    bench_close(&b);
    bench_remove(&b);
}

static void runs(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    for (uint64_t i = 1; i <= 600; i++) {
        struct store_run r = bench_run(i, i % 2);

        store_put_run(b.s, &r);
        r.ended_ms = 99;
        r.signal = 9;
        r.core = true;
        r.detail = i == 600 ? NULL : "ended";
        store_put_run(b.s, &r);
    }
    bench_get_runs(&b, 0, 5);
    assert_int_equal(b.runs_rc, 0);
    assert_int_equal(b.n_runs, 5);
    assert_int_equal(b.runs[0].run, 600);
    assert_int_equal(b.runs[4].run, 592);
    assert_int_equal(b.runs[0].signal, 9);
    assert_true(b.runs[0].core);
    assert_string_equal(b.run_detail[0], "");
    assert_string_equal(b.run_detail[1], "ended");
    bench_get_runs(&b, 77, 5);
    assert_int_equal(b.n_runs, 0);
    /* about 100 of each are kept; pruning comes now and then, never below */
    assert_in_range(bench_sql(&b, "SELECT count(*) FROM run WHERE process=0"), 100, 160);
    store_del_process(b.s, 0);
    assert_int_equal(bench_commit(&b), 0);
    assert_int_equal(bench_sql(&b, "SELECT count(*) FROM run WHERE process=0"), 0);
    bench_close(&b);
    bench_remove(&b);
}

static void events_are_pruned(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    for (int i = 0; i < 12000; i++)
        store_put_event(b.s, &(struct store_event){(uint64_t)i, "k", 1, 2, "text"});
    assert_int_equal(bench_commit(&b), 0);
    assert_in_range(bench_sql(&b, "SELECT count(*) FROM event"), 10000, 10256);
    assert_int_equal(bench_sql(&b, "SELECT max(time_ms) FROM event"), 11999);
    /* the newest first, with what was put before the question */
    store_put_event(b.s, &(struct store_event){20000, "last", STORE_NO_PROCESS, 0, "{\"a\":1}"});
    bench_get_events(&b, 11000, 3);
    assert_int_equal(b.n_events, 3);
    assert_int_equal(b.event_time[0], 20000);
    assert_int_equal(b.event_time[2], 11998);
    assert_string_equal(b.event_json, "{\"a\":1}");
    bench_get_events(&b, 11999, 10);
    assert_int_equal(b.n_events, 2);
    bench_get_events(&b, 30000, 10);
    assert_int_equal(b.n_events, 0);
    bench_close(&b);
    bench_remove(&b);
}

static void ids_are_reserved_ahead(void **state)
{
    struct bench b;
    uint64_t last = 0;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    for (int i = 0; i < 5000; i++) {
        uint64_t id = store_next_run(b.s);

        assert_true(id > last);
        last = id;
        if (i % 400 == 0) {
            bench_commit(&b);
            assert_true((uint64_t)bench_sql(&b, "SELECT value FROM meta WHERE key='next_run'") > id + 1000);
        }
    }
    store_run_seen(b.s, 1000000);
    store_run_seen(b.s, 10);
    assert_int_equal(store_next_run(b.s), 1000001);
    assert_int_equal(store_next_app(b.s), 1);
    assert_int_equal(store_next_app(b.s), 2);
    bench_close(&b);
    bench_open(&b);
    assert_true(b.next_run > 1000001);
    assert_true(b.next_app > 2);
    assert_int_equal(store_next_run(b.s), b.next_run);
    bench_close(&b);
    bench_remove(&b);
}

/* The highest run of which there ever was a row outlives the row, also one that never got to the disk. */
static void last_run_outlives_its_row(void **state)
{
    struct bench b;
    struct store_process p = bench_process(3);

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    assert_int_equal(b.last_run, 0);
    p.run = 70;
    store_put_process(b.s, &p);
    assert_int_equal(bench_commit(&b), 0);
    p.id = 4;
    p.run = 90;
    store_put_process(b.s, &p);
    store_del_process(b.s, 4);
    store_del_process(b.s, 3);
    bench_close(&b);
    bench_open(&b);
    assert_int_equal(b.n_processes, 0);
    assert_int_equal(b.last_run, 90);
    p.id = 5;
    p.run = 80;
    store_put_process(b.s, &p);
    bench_close(&b);
    bench_open(&b);
    assert_int_equal(b.last_run, 90);
    bench_close(&b);
    bench_remove(&b);
}

static void thousand_in_one_commit(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    for (uint32_t i = 0; i < 1000; i++)
        bench_put(&b, i);
    assert_int_equal(bench_commit(&b), 0);
    assert_int_equal(bench_sql(&b, "SELECT count(*) FROM process"), 1000);
    bench_close(&b);
    bench_open(&b);
    assert_int_equal(b.n_processes, 1000);
    assert_int_equal(b.processes[999].id, 999);
    bench_close(&b);
    bench_remove(&b);
}

/* A row that the schema refuses must not hold back the others. */
static void refused_row(void **state)
{
    struct bench b;
    struct store_process p = bench_process(1);
    int rc;

    (void)state;
    bench_dir(&b);
    bench_open(&b);
    p.state = NULL;
    store_put_process(b.s, &p);
    bench_put(&b, 2);
    rc = bench_commit(&b); /* 0 when the thread had taken the bad row before this was asked for */
    assert_true(rc == -EINVAL || rc == 0);
    assert_int_equal(bench_commit(&b), 0);
    assert_int_equal(bench_sql(&b, "SELECT count(*) FROM process"), 1);
    bench_close(&b);
    bench_remove(&b);
}

static void backup_is_made(void **state)
{
    struct bench b;
    struct stat st;
    char bak[400];

    (void)state;
    bench_dir(&b);
    snprintf(bak, sizeof(bak), "%s.bak", b.path);
    store_tuning.backup_idle_ms = 50;
    bench_open(&b);
    bench_put_app(&b, 7, "{}");
    assert_int_equal(bench_commit(&b), 0);
    for (int i = 0; i < 100 && access(bak, F_OK) < 0; i++)
        bench_wait(&b, 50);
    assert_int_equal(stat(bak, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(bench_count(&b, ".tmp"), 0);
    bench_close(&b);
    store_tuning.backup_idle_ms = 10000;
    bench_remove(&b);
}

static void open_and_close_at_once(void **state)
{
    struct bench b;

    (void)state;
    bench_dir(&b);
    assert_int_equal(uv_loop_init(&b.loop), 0);
    b.s = store_open(&b.loop, b.path, bench_on_opened, bench_on_resync, &b);
    store_commit(b.s, bench_on_commit, &b);
    bench_close(&b);
    assert_true(b.opened);
    assert_int_equal(b.commits, 1);
    bench_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(runs),
        cmocka_unit_test(events_are_pruned),
        cmocka_unit_test(ids_are_reserved_ahead),
        cmocka_unit_test(last_run_outlives_its_row),
        cmocka_unit_test(thousand_in_one_commit),
        cmocka_unit_test(refused_row),
        cmocka_unit_test(backup_is_made),
        cmocka_unit_test(open_and_close_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
