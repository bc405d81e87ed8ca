/* Users and groups: what the system says, and questions to it that hang. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "daemon/users.h"

static void names_and_numbers(void **state)
{
    struct user_ids ids;
    struct err e;

    (void)state;
    assert_int_equal(users_ask("root", NULL, &ids, &e), 0);
    assert_true(ids.uid == 0 && ids.gid == 0 && ids.ngroups >= 1);
    assert_string_equal(ids.name, "root");
    assert_non_null(ids.home);
    user_ids_deinit(&ids);
    assert_int_equal(users_ask("root", "54321", &ids, &e), 0);
    assert_int_equal(ids.gid, 54321);
    assert_int_equal(ids.groups[0], 54321);
    user_ids_deinit(&ids);
    assert_int_equal(users_ask("4294967294", NULL, &ids, &e), 0);
    assert_true(ids.uid == 4294967294u && ids.gid == getegid());
    assert_null(ids.name);
    user_ids_deinit(&ids);
    assert_int_equal(users_ask(NULL, "root", &ids, &e), 0);
    assert_true(ids.uid == geteuid() && ids.gid == 0);
    user_ids_deinit(&ids);
}

/* None of these may end as root, nor as the daemon's own user. */
static void users_that_are_none(void **state)
{
    static const char *const words[] = {"",    "-1", "4294967295",  "4294967296", "18446744073709551616",
                                        "0x0", " 0", "no-such-user"};
    struct user_ids ids;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_int_equal(users_ask(words[i], NULL, &ids, &e), -ENOENT);
        assert_non_null(strstr(e.msg, "there is no user"));
        user_ids_deinit(&ids);
        assert_int_equal(users_ask(NULL, words[i], &ids, &e), -ENOENT);
        assert_non_null(strstr(e.msg, "there is no group"));
        user_ids_deinit(&ids);
    }
}

/* A database that answers for names with "hang" only when it is let go. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool let_go;
static int asked, answered;

static int slow_ask(const char *uid, const char *gid, struct user_ids *out, struct err *e)
{
    (void)gid;
    pthread_mutex_lock(&lock);
    asked++;
    while (strncmp(uid, "hang", 4) == 0 && !let_go)
        pthread_cond_wait(&cond, &lock);
    answered++;
    pthread_mutex_unlock(&lock);
    *out = (struct user_ids){.uid = 7, .name = xstrdup(uid)};
    return strcmp(uid, "none") == 0 ? err_set(e, -ENOENT, "there is no user \"none\"") : 0;
}

static void release(void)
{
    pthread_mutex_lock(&lock);
    let_go = true;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
}

static int count(const int *what)
{
    int n;

    pthread_mutex_lock(&lock);
    n = *what;
    pthread_mutex_unlock(&lock);
    return n;
}

struct answer {
    int n, code;
    bool found;
};

static void on_answer(void *arg, const struct user_ids *ids, const struct err *e)
{
    struct answer *a = arg;

    a->n++;
    a->found = ids != NULL;
    a->code = ids ? 0 : e->code;
    if (ids)
        assert_int_equal(ids->uid, 7);
}

static uv_loop_t loop;
static struct users *users;

static int setup(void **state)
{
    (void)state;
    let_go = false;
    asked = answered = 0;
    uv_loop_init(&loop);
    users = users_open(&loop, slow_ask);
    return users ? 0 : -1;
}

static void until(const int *n, int wanted)
{
    uint64_t end = clock_mono_ms() + 30000;

    while (*n < wanted) {
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_true(clock_mono_ms() < end);
        usleep(200);
    }
}

/* Nothing may be left on the loop, whatever still hangs. */
static void close_all(void)
{
    users_close(users);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void let_threads_end(void)
{
    uint64_t end = clock_mono_ms() + 30000;

    release();
    while (count(&answered) < count(&asked)) {
        assert_true(clock_mono_ms() < end);
        usleep(200);
    }
    usleep(20000); /* for leak checkers: the thread frees what it had */
}

static void a_hanging_question_holds_nobody_else(void **state)
{
    struct answer hang[3] = {0}, other = {0}, none = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        users_find(users, "hang", "g", on_answer, &hang[i]);
    users_find(users, "app", NULL, on_answer, &other);
    users_find(users, "none", NULL, on_answer, &none);
    assert_int_equal(other.n, 0); /* never before the call returns */
    until(&other.n, 1);
    until(&none.n, 1);
    assert_true(other.found);
    assert_int_equal(none.code, -ENOENT);
    assert_int_equal(hang[0].n, 0);
    release();
    for (int i = 0; i < 3; i++)
        until(&hang[i].n, 1);
    assert_true(hang[0].found && hang[2].found);
    assert_int_equal(count(&asked), 3); /* the three shared one */
    close_all();
}

static void a_question_may_be_taken_back(void **state)
{
    struct answer a = {0}, b = {0};
    struct user_wait *w;

    (void)state;
    w = users_find(users, "hang", NULL, on_answer, &a);
    users_cancel(w);
    users_cancel(w);
    assert_int_equal(a.n, 0);
    until(&a.n, 1);
    assert_int_equal(a.code, -ECANCELED);
    users_find(users, "hang", NULL, on_answer, &b); /* the thread that hangs serves the next as well */
    release();
    until(&b.n, 1);
    assert_true(b.found);
    assert_int_equal(count(&asked), 1);
    assert_int_equal(a.n, 1);
    close_all();
}

static void many_that_hang_and_the_end(void **state)
{
    enum { MANY = 40 };
    struct answer a[MANY] = {0};

    (void)state;
    for (int i = 0; i < MANY; i++) {
        char name[16];

        snprintf(name, sizeof(name), "hang%d", i);
        users_find(users, name, NULL, on_answer, &a[i]);
    }
    for (int i = 0; i < 50; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(200);
    }
    assert_in_range(count(&asked), 1, 16);
    close_all();
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(a[i].n, 1);
        assert_int_equal(a[i].code, -ECANCELED);
    }
    let_threads_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers),
        cmocka_unit_test(users_that_are_none),
        cmocka_unit_test_setup(a_hanging_question_holds_nobody_else, setup),
        cmocka_unit_test_setup(a_question_may_be_taken_back, setup),
        cmocka_unit_test_setup(many_that_hang_and_the_end, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
