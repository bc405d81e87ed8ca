/* The rules of limits, second by second, with a clock that only the test moves. */
#include "unit.h"

#include <string.h>

#include "common/mem.h"
#include "config/spec.h"
#include "daemon/limits.h"

#define MB (UINT64_C(1) << 20)

struct world {
    struct app_spec *spec;
    struct limit_state state;
    struct limit_sample sample;
    struct limit_verdict v;
    uint64_t mono;
};

static struct world begin(void)
{
    struct world w = {.spec = app_spec_new(), .mono = 5000};

    w.sample = (struct limit_sample){.run = 7, .time_ms = 1, .processes = 1};
    return w;
}

static void end(struct world *w)
{
    app_spec_free(w->spec);
}

/* One second later. */
static enum limit_kind look(struct world *w)
{
    w->mono += 1000;
    w->sample.time_ms += 1000;
    w->v = limits_judge(w->spec, &w->state, &w->sample, w->mono);
    return w->v.passed;
}

static enum limit_kind look_rss(struct world *w, uint64_t mb)
{
    w->sample.rss = mb * MB;
    return look(w);
}

static void test_memory_is_strictly_above(void **state)
{
    struct world w = begin();

    (void)state;
    assert_false(limits_any(w.spec));
    w.spec->max_memory_restart = 100 * MB;
    assert_true(limits_any(w.spec));
    assert_int_equal(look_rss(&w, 99), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 100), LIMIT_NONE);
    w.sample.rss = 100 * MB + 1;
    assert_int_equal(look(&w), LIMIT_MEMORY);
    assert_false(w.v.want_pss); /* one process: its own figure is the one that users see */
    end(&w);
}

static void test_no_sample_yet(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 1;
    w.sample.rss = 5;
    w.sample.time_ms = 0;
    assert_int_equal(limits_judge(w.spec, &w.state, &w.sample, 9000).passed, LIMIT_NONE);
    end(&w);
}

/* The same pass seen twice is not two. */
static void test_one_pass_is_judged_once(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 100 * MB;
    assert_int_equal(look_rss(&w, 101), LIMIT_MEMORY);
    assert_int_equal(limits_judge(w.spec, &w.state, &w.sample, w.mono + 10).passed, LIMIT_NONE);
    end(&w);
}

/* Forks that share their pages: RSS counts them for each. */
static void test_pss_decides_near_the_limit(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 100 * MB;
    w.sample.processes = 4;
    assert_int_equal(look_rss(&w, 50), LIMIT_NONE);
    assert_false(w.v.want_pss);
    assert_int_equal(look_rss(&w, 81), LIMIT_NONE);
    assert_true(w.v.want_pss);
    w.sample.pss = 30 * MB;
    assert_int_equal(look_rss(&w, 130), LIMIT_NONE);
    assert_true(w.v.want_pss);
    w.sample.pss = 101 * MB;
    assert_int_equal(look_rss(&w, 200), LIMIT_MEMORY);
    end(&w);
}

static void test_pss_that_was_not_asked_for_is_old(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 100 * MB;
    w.sample.processes = 2;
    w.sample.pss = 20 * MB;
    assert_int_equal(look_rss(&w, 200), LIMIT_NONE); /* a jump: the next pass knows */
    assert_true(w.v.want_pss);
    assert_int_equal(w.sample.pss, 0);
    w.sample.pss = 180 * MB;
    assert_int_equal(look_rss(&w, 201), LIMIT_MEMORY);
    end(&w);
}

/* Other users' memory cannot be looked at everywhere. */
static void test_pss_that_does_not_come_is_not_waited_for(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 100 * MB;
    w.sample.processes = 2;
    assert_int_equal(look_rss(&w, 200), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 200), LIMIT_MEMORY);
    end(&w);
}

/* A steady leak: the PSS is there in the first pass above the limit. */
static void test_growth_is_foreseen(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 60 * MB;
    w.sample.processes = 2;
    look_rss(&w, 25);
    assert_false(w.v.want_pss);
    look_rss(&w, 45);
    assert_true(w.v.want_pss);
    w.sample.pss = 64 * MB;
    assert_int_equal(look_rss(&w, 65), LIMIT_MEMORY);
    end(&w);
}

static void test_soft_needs_the_whole_window(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory.soft = 100 * MB;
    w.spec->max_memory.window = 3000;
    assert_int_equal(look_rss(&w, 150), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 150), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 90), LIMIT_NONE); /* a break: it begins again */
    assert_int_equal(look_rss(&w, 150), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 150), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 150), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 150), LIMIT_SOFT);
    end(&w);
}

static void test_hard_does_not_wait(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory.soft = 100 * MB;
    w.spec->max_memory.hard = 200 * MB;
    w.spec->max_memory_restart = 150 * MB;
    assert_int_equal(look_rss(&w, 120), LIMIT_NONE);
    assert_int_equal(look_rss(&w, 160), LIMIT_MEMORY);
    assert_int_equal(look_rss(&w, 201), LIMIT_HARD);
    end(&w);
}

static void test_cpu_for_the_whole_time(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_cpu_restart.percent = 90;
    w.spec->max_cpu_restart.time = 2000;
    w.sample.cpu_percent = 90; /* not above */
    for (int i = 0; i < 5; i++)
        assert_int_equal(look(&w), LIMIT_NONE);
    w.sample.cpu_percent = 250;
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_CPU);
    end(&w);
}

static void test_uptime_differs_by_run(void **state)
{
    struct world w = begin();
    uint64_t least = UINT64_MAX, most = 0;

    (void)state;
    w.spec->max_uptime = 1000000;
    for (uint64_t run = 1; run <= 200; run++) {
        uint64_t up = limits_uptime(w.spec, run);

        assert_in_range(up, 900000, 1000000);
        least = up < least ? up : least;
        most = up > most ? up : most;
    }
    assert_true(most - least > 80000);
    w.sample.uptime_ms = limits_uptime(w.spec, 7);
    assert_int_equal(look(&w), LIMIT_NONE);
    w.sample.uptime_ms++;
    assert_int_equal(look(&w), LIMIT_UPTIME);
    end(&w);
}

static void test_a_pause_after_an_act(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 100 * MB;
    w.spec->min_uptime = 3000;
    assert_int_equal(look_rss(&w, 101), LIMIT_MEMORY);
    limits_acted(w.spec, &w.state, w.mono);
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_MEMORY); /* the reload has failed, say */
    limits_acted(w.spec, &w.state, w.mono);
    w.sample.run = 8;
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_NONE);
    assert_int_equal(look(&w), LIMIT_MEMORY);
    w.sample.run = 9; /* of somebody's restart: no pause */
    assert_int_equal(look(&w), LIMIT_MEMORY);
    end(&w);
}

/* Who waits for its turn keeps the time of its first wish, until it is acted on or uses less. */
static void test_wait_for_the_turn(void **state)
{
    struct world w = begin();
    uint64_t first;

    (void)state;
    w.spec->max_memory_restart = 100 * MB;
    look_rss(&w, 101);
    first = w.mono;
    look_rss(&w, 102);
    assert_int_equal(w.state.waits_since, first);
    look_rss(&w, 90);
    assert_int_equal(w.state.waits_since, 0);
    look_rss(&w, 101);
    assert_int_equal(w.state.waits_since, w.mono);
    limits_acted(w.spec, &w.state, w.mono);
    assert_int_equal(w.state.waits_since, 0);
    end(&w);
}

static void is_words(const struct world *w, enum limit_kind kind, const char *want)
{
    char words[LIMIT_WORDS_MAX];

    limits_words(w->spec, kind, &w->sample, words);
    assert_string_equal(words, want);
}

static void test_words(void **state)
{
    struct world w = begin();

    (void)state;
    w.spec->max_memory_restart = 300 * MB;
    w.spec->max_memory.soft = 200 * MB;
    w.spec->max_memory.hard = 400 * MB + MB / 2;
    w.spec->max_cpu_restart.percent = 90;
    w.spec->max_uptime = 86400000;
    w.sample.rss = 312 * MB + MB * 4 / 10;
    w.sample.uptime_ms = 80000000;
    w.sample.cpu_percent = 99.96;
    is_words(&w, LIMIT_MEMORY, "memory 312.4 MB of 300 MB in 1 process");
    w.sample.processes = 3;
    is_words(&w, LIMIT_MEMORY, "memory 312.4 MB of 300 MB in 3 processes");
    w.sample.pss = 301 * MB;
    is_words(&w, LIMIT_MEMORY, "memory 301 MB of 300 MB in 3 processes");
    is_words(&w, LIMIT_SOFT, "memory 301 MB of 200 MB (soft, for 10 s) in 3 processes");
    is_words(&w, LIMIT_HARD, "memory 301 MB of 400.5 MB (hard) in 3 processes");
    is_words(&w, LIMIT_CPU, "cpu 100.0 %, above 90 % for 60 s");
    is_words(&w, LIMIT_UPTIME, "up for 22.2 h of 24.0 h");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_strictly_above),
        cmocka_unit_test(test_no_sample_yet),
        cmocka_unit_test(test_one_pass_is_judged_once),
        cmocka_unit_test(test_pss_decides_near_the_limit),
        cmocka_unit_test(test_pss_that_was_not_asked_for_is_old),
        cmocka_unit_test(test_pss_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(test_growth_is_foreseen),
        cmocka_unit_test(test_soft_needs_the_whole_window),
        cmocka_unit_test(test_hard_does_not_wait),
        cmocka_unit_test(test_cpu_for_the_whole_time),
        cmocka_unit_test(test_uptime_differs_by_run),
        cmocka_unit_test(test_a_pause_after_an_act),
        cmocka_unit_test(test_wait_for_the_turn),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
