/* What becomes of a run that the keeper knows and state.db does not. */
#include "unit.h"

#include "daemon/unstored.h"

static enum unstored_act judge(struct unstored u)
{
    return unstored_judge(&u);
}

static void a_start_under_way_goes_on(void **state)
{
    (void)state;
    assert_int_equal(judge((struct unstored){.run = 1, .last_run = 0}), UNSTORED_TAKE);
    assert_int_equal(judge((struct unstored){.run = 8, .last_run = 7}), UNSTORED_TAKE);
    /* It crashed at once: what follows is to be done. A delete under way is in the note, and goes on too. */
    assert_int_equal(judge((struct unstored){.run = 8, .last_run = 7, .over = true}), UNSTORED_TAKE);
}

static void what_was_deleted_stays_away(void **state)
{
    (void)state;
    assert_int_equal(judge((struct unstored){.run = 7, .last_run = 7}), UNSTORED_END);
    assert_int_equal(judge((struct unstored){.run = 3, .last_run = 7}), UNSTORED_END);
    /* Only its late output keeps the record. */
    assert_int_equal(judge((struct unstored){.run = 3, .last_run = 7, .over = true}), UNSTORED_LEAVE);
    /* A database of a build that did not note the highest run. */
    assert_int_equal(judge((struct unstored){.run = 8, .last_run = 7, .over = true, .acked = true}),
                     UNSTORED_LEAVE);
}

static void the_latest_record_of_an_id_decides(void **state)
{
    (void)state;
    /* Ids begin anew when the list was emptied; or it was restarted. */
    assert_int_equal(judge((struct unstored){.run = 8, .last_run = 7, .over = true, .superseded = true}),
                     UNSTORED_LEAVE);
    assert_int_equal(judge((struct unstored){.run = 3, .last_run = 7, .over = true, .superseded = true}),
                     UNSTORED_LEAVE);
}

static void without_a_good_database_all_that_runs_is_taken(void **state)
{
    (void)state;
    assert_int_equal(judge((struct unstored){.run = 3, .last_run = 7, .damaged = true}), UNSTORED_TAKE);
    assert_int_equal(judge((struct unstored){.run = 8, .last_run = 7, .damaged = true}), UNSTORED_TAKE);
    assert_int_equal(judge((struct unstored){.run = 8, .last_run = 7, .damaged = true, .over = true}),
                     UNSTORED_LEAVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_under_way_goes_on),
        cmocka_unit_test(what_was_deleted_stays_away),
        cmocka_unit_test(the_latest_record_of_an_id_decides),
        cmocka_unit_test(without_a_good_database_all_that_runs_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
