/* When it is time, and what is to be done then; the clock is the test's. */
#include "unit.h"

#include <string.h>
#include <time.h>

#include "common/cron.h"
#include "common/err.h"
#include "common/zone.h"
#include "daemon/schedule.h"

struct world {
    struct cron cron;
    struct zone *zone;
    struct schedule_clock clock;
    int64_t now;
    unsigned runs;
};

static int64_t utc(const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return timegm(&tm);
}

static struct world begin(const char *zone, const char *cron, const char *now)
{
    struct world w = {.now = utc(now)};
    struct err e = {0};

    assert_int_equal(zone_open(zone, &w.zone, &e), 0);
    assert_int_equal(cron_parse(cron, &w.cron, &e), 0);
    assert_false(schedule_due(&w.clock, &w.cron, w.zone, w.now));
    return w;
}

/* A look at the clock, as the engine has one each second; what is due is done. */
static bool look(struct world *w)
{
    if (!schedule_due(&w->clock, &w->cron, w->zone, w->now))
        return false;
    schedule_handled(&w->clock, w->now);
    w->runs++;
    return true;
}

/* Lets the clock go on to that time. Returns the runs on the way. */
static unsigned go_to(struct world *w, const char *to)
{
    unsigned before = w->runs;

    for (int64_t end = utc(to); w->now < end;) {
        w->now++;
        look(w);
    }
    return w->runs - before;
}

static void test_at_its_times(void **state)
{
    struct world w = begin("UTC", "*/10 * * * *", "2026-11-25 11:59:58");

    (void)state;
    assert_int_equal(go_to(&w, "2026-11-25 11:59:59"), 0);
    assert_int_equal(w.clock.next, utc("2026-11-25 12:00:00"));
    assert_int_equal(go_to(&w, "2026-11-25 12:00:00"), 1);
    assert_int_equal(go_to(&w, "2026-11-25 12:09:59"), 0);
    assert_int_equal(go_to(&w, "2026-11-25 12:30:00"), 3);
    zone_free(w.zone);
}

static void test_not_at_the_second_of_its_beginning(void **state)
{
    struct world w = begin("UTC", "* * * * *", "2026-11-25 12:00:00");

    (void)state;
    assert_int_equal(w.clock.next, utc("2026-11-25 12:01:00"));
    zone_free(w.zone);
}

static void test_every_second(void **state)
{
    struct world w = begin("UTC", "* * * * * *", "2026-11-25 12:00:00");

    (void)state;
    assert_int_equal(go_to(&w, "2026-11-25 12:00:20"), 20);
    zone_free(w.zone);
}

/* Summer time begins: 2:30 is left out, and comes at 3:00. */
static void test_clocks_forward(void **state)
{
    struct world w = begin("Europe/Berlin", "30 2 * * *", "2026-03-28 00:00:00");

    (void)state;
    assert_int_equal(go_to(&w, "2026-03-28 01:30:00"), 1);
    assert_int_equal(go_to(&w, "2026-03-29 00:59:59"), 0);
    assert_int_equal(go_to(&w, "2026-03-29 01:00:00"), 1);
    assert_int_equal(go_to(&w, "2026-03-30 00:29:59"), 0);
    assert_int_equal(go_to(&w, "2026-03-30 00:30:00"), 1);
    zone_free(w.zone);
}

/* It ends: 2:30 comes twice, and is one; every hour is both. */
static void test_clocks_back(void **state)
{
    struct world w = begin("Europe/Berlin", "30 2 * * *", "2026-10-24 12:00:00");
    struct world hourly = begin("Europe/Berlin", "30 * * * *", "2026-10-24 23:45:00");

    (void)state;
    assert_int_equal(go_to(&w, "2026-10-25 00:30:00"), 1);
    assert_int_equal(go_to(&w, "2026-10-26 01:29:59"), 0);
    assert_int_equal(go_to(&w, "2026-10-26 01:30:00"), 1);
    assert_int_equal(go_to(&hourly, "2026-10-25 02:45:00"), 3);
    zone_free(w.zone);
    zone_free(hourly.zone);
}

/* A clock that was set forward, a machine that slept, an engine that was away: all of them look like this. */
static void test_missed_times_are_one(void **state)
{
    struct world w = begin("UTC", "*/5 * * * *", "2026-11-25 12:01:00");

    (void)state;
    w.now = utc("2026-11-25 15:02:00");
    assert_true(look(&w));
    assert_false(look(&w));
    assert_int_equal(w.clock.next, utc("2026-11-25 15:05:00"));
    assert_int_equal(go_to(&w, "2026-11-25 15:05:00"), 1);
    w.now = utc("2030-01-01 00:00:01");
    assert_true(look(&w));
    assert_false(look(&w));
    zone_free(w.zone);
}

static void test_a_jump_over_nothing(void **state)
{
    struct world w = begin("UTC", "0 4 * * *", "2026-11-25 12:00:00");

    (void)state;
    w.now = utc("2026-11-26 03:59:59");
    assert_false(look(&w));
    assert_int_equal(go_to(&w, "2026-11-26 04:00:00"), 1);
    zone_free(w.zone);
}

static void test_a_step_back_is_waited_for(void **state)
{
    struct world w = begin("UTC", "* * * * *", "2026-11-25 11:59:59");

    (void)state;
    assert_int_equal(go_to(&w, "2026-11-25 12:00:01"), 1);
    w.now = utc("2026-11-25 11:59:30"); /* half a minute back */
    assert_int_equal(go_to(&w, "2026-11-25 12:00:59"), 0);
    assert_int_equal(go_to(&w, "2026-11-25 12:01:00"), 1);
    zone_free(w.zone);
}

/* An hour back: nothing that names its hour runs twice, and what comes all the time goes on. */
static void test_an_hour_back(void **state)
{
    struct world fixed = begin("UTC", "0 12 * * *", "2026-11-25 11:59:59");
    struct world often = begin("UTC", "* * * * *", "2026-11-25 11:59:59");

    (void)state;
    assert_int_equal(go_to(&fixed, "2026-11-25 12:30:00"), 1);
    fixed.now = utc("2026-11-25 11:30:00");
    assert_int_equal(go_to(&fixed, "2026-11-26 11:59:59"), 0);
    assert_int_equal(go_to(&fixed, "2026-11-26 12:00:00"), 1);
    go_to(&often, "2026-11-25 12:30:00");
    often.now = utc("2026-11-25 11:30:30");
    assert_false(look(&often));
    assert_int_equal(go_to(&often, "2026-11-25 11:31:00"), 1);
    assert_int_equal(go_to(&often, "2026-11-25 11:35:00"), 4);
    zone_free(fixed.zone);
    zone_free(often.zone);
}

/* A clock that was a year ahead: without this nothing would run for a year. */
static void test_a_clock_that_was_wrong(void **state)
{
    struct world w = begin("UTC", "0 12 * * *", "2027-11-25 11:59:59");

    (void)state;
    assert_int_equal(go_to(&w, "2027-11-25 12:00:00"), 1);
    w.now = utc("2026-11-25 11:00:00");
    assert_false(look(&w));
    assert_int_equal(go_to(&w, "2026-11-25 12:00:00"), 1);
    zone_free(w.zone);
}

static void test_another_engine(void **state)
{
    struct world w = begin("UTC", "*/2 * * * *", "2026-11-25 12:01:00");

    (void)state;
    assert_int_equal(go_to(&w, "2026-11-25 12:02:00"), 1);
    /* It knows what is stored, and no more. */
    w.clock = (struct schedule_clock){.handled = w.clock.handled};
    assert_false(look(&w));
    w.clock = (struct schedule_clock){.handled = w.clock.handled};
    w.now = utc("2026-11-25 12:04:05");
    assert_true(look(&w));
    assert_false(look(&w));
    zone_free(w.zone);
}

static enum schedule_act job(enum schedule_overlap overlap, enum lc_state state, enum lc_reason reason)
{
    return schedule_judge(
        &(struct schedule_view){.job = true, .overlap = overlap, .state = state, .reason = reason});
}

static enum schedule_act cron(enum lc_state state, enum lc_reason reason)
{
    return schedule_judge(&(struct schedule_view){.state = state, .reason = reason});
}

static void test_cron_restart(void **state)
{
    (void)state;
    assert_int_equal(cron(LC_ONLINE, LC_R_NONE), SCHEDULE_RESTART);
    assert_int_equal(cron(LC_LAUNCHING, LC_R_NONE), SCHEDULE_RESTART);
    assert_int_equal(cron(LC_STOPPED, LC_R_STOPPED), SCHEDULE_START); /* as PM2 */
    assert_int_equal(cron(LC_STOPPED, LC_R_EXIT), SCHEDULE_START);
    assert_int_equal(cron(LC_ERRORED, LC_R_BUDGET), SCHEDULE_START);
    assert_int_equal(cron(LC_WAITING, LC_R_EXIT), SCHEDULE_START);
    assert_int_equal(cron(LC_STOPPING, LC_R_STOPPED), SCHEDULE_PASS);
    assert_int_equal(cron(LC_STOPPING, LC_R_RESTARTED), SCHEDULE_PASS);
}

static void test_jobs(void **state)
{
    (void)state;
    for (enum schedule_overlap o = SCHEDULE_SKIP_RUN; o <= SCHEDULE_KILL_RUN; o++) {
        assert_int_equal(job(o, LC_STOPPED, LC_R_EXIT), SCHEDULE_START);
        assert_int_equal(job(o, LC_STOPPED, LC_R_STOPPED), SCHEDULE_START);
        assert_int_equal(job(o, LC_ERRORED, LC_R_EXEC_FAILED), SCHEDULE_START);
        assert_int_equal(job(o, LC_STOPPING, LC_R_STOPPED), SCHEDULE_PASS);
    }
    assert_int_equal(job(SCHEDULE_SKIP_RUN, LC_ONLINE, LC_R_NONE), SCHEDULE_LEAVE);
    assert_int_equal(job(SCHEDULE_SKIP_RUN, LC_STOPPING, LC_R_RESTARTED), SCHEDULE_LEAVE);
    assert_int_equal(job(SCHEDULE_QUEUE_RUN, LC_ONLINE, LC_R_NONE), SCHEDULE_WAIT);
    assert_int_equal(job(SCHEDULE_QUEUE_RUN, LC_LAUNCHING, LC_R_NONE), SCHEDULE_WAIT);
    assert_int_equal(job(SCHEDULE_KILL_RUN, LC_ONLINE, LC_R_NONE), SCHEDULE_RESTART);
    assert_int_equal(job(SCHEDULE_KILL_RUN, LC_STOPPING, LC_R_RESTARTED), SCHEDULE_WAIT);
}

/* A stop also drops the run that was queued behind the one that it stops; what is held is wanted up already.
 */
static void test_dropped(void **state)
{
    (void)state;
    assert_int_equal(schedule_judge(&(struct schedule_view){.job = true,
                                                            .overlap = SCHEDULE_QUEUE_RUN,
                                                            .state = LC_STOPPED,
                                                            .reason = LC_R_STOPPED,
                                                            .stopped_since = true}),
                     SCHEDULE_PASS);
    assert_int_equal(schedule_judge(&(struct schedule_view){.job = true, .state = LC_STOPPED, .held = true}),
                     SCHEDULE_PASS);
}

static void test_words(void **state)
{
    char text[SCHEDULE_TIME_MAX];
    struct zone *z;

    (void)state;
    assert_int_equal(zone_open("Europe/Berlin", &z, NULL), 0);
    assert_string_equal(schedule_time(text, z, utc("2026-11-25 03:00:00")), "2026-11-25 04:00:00 +0100");
    assert_string_equal(schedule_time(text, z, utc("2026-07-01 02:00:00")), "2026-07-01 04:00:00 +0200");
    zone_free(z);
    assert_int_equal(schedule_overlap_of("skip"), SCHEDULE_SKIP_RUN);
    assert_int_equal(schedule_overlap_of("queue"), SCHEDULE_QUEUE_RUN);
    assert_int_equal(schedule_overlap_of("kill"), SCHEDULE_KILL_RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_its_times),
        cmocka_unit_test(test_not_at_the_second_of_its_beginning),
        cmocka_unit_test(test_every_second),
        cmocka_unit_test(test_clocks_forward),
        cmocka_unit_test(test_clocks_back),
        cmocka_unit_test(test_missed_times_are_one),
        cmocka_unit_test(test_a_jump_over_nothing),
        cmocka_unit_test(test_a_step_back_is_waited_for),
        cmocka_unit_test(test_an_hour_back),
        cmocka_unit_test(test_a_clock_that_was_wrong),
        cmocka_unit_test(test_another_engine),
        cmocka_unit_test(test_cron_restart),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
