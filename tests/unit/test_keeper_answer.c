/* KW_ANSWER with the real keeper: bytes are taken out of a channel and the answer is sent, all or nothing. */
#include "keeper_rig.h"

#include <sys/socket.h>

static struct rig rig;

static int setup(void **state)
{
    *state = &rig;
    assert_int_equal(rig_init(&rig), 0);
    setenv("RIG_DOOR", rig.door, 1);
    return 0;
}

static int teardown(void **state)
{
    return rig_deinit(*state);
}

/* A run that another keeper had: only its channel matters here. The worker's end. */
static int channel(struct rig *r, uint64_t run)
{
    struct kw_msg m = {.type = KW_ADOPT, .token = run, .pid = getpid(), .start_ticks = 1};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    kw_add_fd(&m, KW_FD_IPC, pair[0]);
    rig_say(r, &m);
    close(pair[0]);
    return pair[1];
}

static void ask(struct rig *r, uint64_t run, uint64_t consume, const char *text, uint32_t flags)
{
    struct kw_msg m = {.type = KW_ANSWER, .token = run, .arg = consume, .flags = flags};

    m.note_len = (uint16_t)strlen(text);
    memcpy(m.note, text, m.note_len);
    rig_say(r, &m);
}

static void expect(struct rig *r, uint64_t run, uint32_t flags, int error)
{
    struct kw_msg m = rig_expect(r, KW_ANSWERED, run);

    assert_int_equal(m.flags, flags);
    assert_int_equal(m.error, error);
    kw_close_fds(&m);
}

static void expect_text(int worker, const char *text)
{
    char got[100] = {0};
    ssize_t n = recv(worker, got, sizeof(got) - 1, MSG_DONTWAIT);

    assert_int_equal(n < 0 ? 0 : n, strlen(text));
    assert_string_equal(got, text);
}

static void test_all_or_nothing(void **state)
{
    struct rig *r = *state;
    static const char text[] = "0123456789012345678901234567890123456789";
    char got[sizeof(text)];
    struct kw_msg m;
    int worker, whole = 0;

    rig_start(r);
    worker = channel(r, 5);
    assert_int_equal(send(worker, "first\nsecond\n", 13, 0), 13);
    ask(r, 5, 6, "one\n", 0);
    expect(r, 5, 0, 0);
    expect_text(worker, "one\n");
    ask(r, 5, 7, "two\n", 0);
    expect(r, 5, 0, 0);
    expect_text(worker, "two\n");
    ask(r, 5, UINT64_MAX, "x\n", 0);
    expect(r, 5, 0, EINVAL);
    /* The worker does not read: what does not fit is not begun. */
    do {
        ask(r, 5, 0, text, 0);
        m = rig_expect(r, KW_ANSWERED, 5);
        whole += !m.error;
    } while (!m.error);
    assert_int_equal(m.error, EAGAIN);
    assert_true(whole > 0);
    while (recv(worker, got, strlen(text), MSG_DONTWAIT) > 0) {
        assert_memory_equal(got, text, strlen(text));
        whole--;
    }
    assert_int_equal(whole, 0);
    close(worker);
    ask(r, 5, 0, "gone\n", 0); /* no harm */
    expect(r, 5, 0, 0);
    assert_int_equal(rig_bye(r, 0), 0);
}

static void test_once_in_a_life(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    int worker;

    rig_start(r);
    worker = channel(r, 5);
    ask(r, 5, 0, "bye\n", KW_ONCE);
    expect(r, 5, KW_ONCE, 0);
    expect_text(worker, "bye\n");
    ask(r, 5, 0, "bye\n", KW_ONCE);
    expect(r, 5, KW_ONCE, EALREADY);
    expect_text(worker, "");
    /* An engine that dies after asking: it is done, and the next one is told. */
    ask(r, 5, 0, "last\n", 0);
    kill(r->engine, SIGKILL);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 5);
    assert_true(m.flags & KW_TOLD);
    kw_close_fds(&m);
    rig_snapshot_end(r);
    expect_text(worker, "last\n");
    close(worker);
    assert_int_equal(rig_bye(r, 0), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_once_in_a_life, setup, teardown),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
