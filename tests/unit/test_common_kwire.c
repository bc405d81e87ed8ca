#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/kwire.h"

struct pair {
    int a, b;
};

static int setup(void **state)
{
    static struct pair p;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    p = (struct pair){fds[0], fds[1]};
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    if (p->a >= 0)
        close(p->a);
    close(p->b);
    return 0;
}

static struct kw_msg full_message(void)
{
    struct kw_msg m = {.type = KW_CHILD,
                       .flags = 0x80000001u,
                       .token = 0x1122334455667788u,
                       .arg = UINT64_MAX,
                       .proc = 7,
                       .uid = 0xfffffffeu,
                       .pid = -3,
                       .step = KW_STEP_CWD,
                       .error = ENOENT,
                       .wait_status = 0x7f00,
                       .start_ticks = 1,
                       .start_us = 2,
                       .end_us = 3,
                       .utime_us = 4,
                       .stime_us = 5,
                       .maxrss_bytes = 6,
                       .note_len = KW_NOTE_MAX};

    memset(m.note, 0xab, sizeof(m.note));
    return m;
}

static void test_round_trip(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = full_message(), got;
    int pipefd[2];

    assert_int_equal(pipe(pipefd), 0);
    kw_add_fd(&m, KW_FD_STDOUT, pipefd[0]);
    kw_add_fd(&m, KW_FD_STDIN, pipefd[1]);
    assert_int_equal(kw_send(p->a, &m), 0);
    assert_int_equal(kw_recv(p->b, &got), 1);
    assert_int_equal(got.type, m.type);
    assert_int_equal(got.flags, m.flags);
    assert_true(got.token == m.token && got.arg == m.arg);
    assert_int_equal(got.proc, m.proc);
    assert_int_equal(got.uid, m.uid);
    assert_int_equal(got.pid, m.pid);
    assert_int_equal(got.step, m.step);
    assert_int_equal(got.error, m.error);
    assert_int_equal(got.wait_status, m.wait_status);
    assert_true(got.start_ticks == 1 && got.start_us == 2 && got.end_us == 3 && got.utime_us == 4 &&
                got.stime_us == 5 && got.maxrss_bytes == 6);
    assert_int_equal(got.note_len, KW_NOTE_MAX);
    assert_memory_equal(got.note, m.note, KW_NOTE_MAX);
    assert_int_equal(got.nfds, 2);
    assert_int_equal(kw_take_fd(&got, KW_FD_STDERR), -1);
    int out = kw_take_fd(&got, KW_FD_STDOUT);
    assert_true(out >= 0);
    assert_true(fcntl(out, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(kw_take_fd(&got, KW_FD_STDOUT), -1);
    close(out);
    kw_close_fds(&got);
    kw_close_fds(&m);
}

static void test_kinds_without_descriptors(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = {.type = KW_DROP, .token = 1}, got;

    kw_add_fd(&m, KW_FD_STDOUT, -1);
    kw_add_fd(&m, KW_FD_SPOOL_OUT, -1);
    assert_int_equal(kw_send(p->a, &m), 0);
    assert_int_equal(kw_recv(p->b, &got), 1);
    assert_int_equal(got.nfds, 2);
    assert_int_equal(got.kinds[1], KW_FD_SPOOL_OUT);
    assert_int_equal(got.fds[0], -1);
    assert_int_equal(got.fds[1], -1);
}

static void test_most_descriptors(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = {.type = KW_HOLD, .token = 1}, got;

    for (int i = 0; i < KW_FDS_MAX + 3; i++) /* what does not fit is left out, not written beyond */
        kw_add_fd(&m, KW_FD_PIDFD, p->b);
    assert_int_equal(m.nfds, KW_FDS_MAX);
    assert_int_equal(kw_send(p->a, &m), 0);
    assert_int_equal(kw_recv(p->b, &got), 1);
    assert_int_equal(got.nfds, KW_FDS_MAX);
    kw_close_fds(&got);
}

static void test_bounds_of_the_sender(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = {.type = KW_NOTE, .note_len = KW_NOTE_MAX + 1};

    assert_int_equal(kw_send(p->a, &m), -EINVAL);
    m = (struct kw_msg){.type = KW_NOTE, .nfds = KW_FDS_MAX + 1};
    assert_int_equal(kw_send(p->a, &m), -EINVAL);
    m = (struct kw_msg){0};
    assert_int_equal(kw_send(p->a, &m), -EINVAL);
}

static void test_nothing_end_and_full(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = {.type = KW_BEAT}, got;
    unsigned sent = 0, read_back = 0;
    int rc;

    assert_int_equal(kw_recv(p->b, &got), -EAGAIN);
    while ((rc = kw_send(p->a, &m)) == 0)
        sent++;
    assert_int_equal(rc, -EAGAIN);
    assert_int_equal(kw_send(p->b, &m), 0); /* stays unread: the end is then announced by ECONNRESET */
    close(p->a);
    p->a = -1;
    while ((rc = kw_recv(p->b, &got)) == 1)
        read_back++;
    assert_int_equal(rc, 0);
    assert_int_equal(read_back, sent);
    rc = kw_send(p->b, &m);
    assert_true(rc == -EPIPE || rc == -ECONNRESET);
}

/* Encodes a message by sending it, so that the test can damage the packet. */
static size_t packet_of(struct pair *p, const struct kw_msg *m, unsigned char *out, size_t max)
{
    assert_int_equal(kw_send(p->a, m), 0);
    ssize_t n = recv(p->b, out, max, 0);
    assert_true(n > 0);
    return (size_t)n;
}

static void test_truncated_and_longer(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = full_message(), got;
    unsigned char packet[KW_PACKET_MAX * 2];
    size_t len = packet_of(p, &m, packet, sizeof(packet));

    for (size_t cut = 1; cut < len; cut++) {
        assert_int_equal(send(p->a, packet, cut, 0), cut);
        assert_int_equal(kw_recv(p->b, &got), -EBADMSG);
    }
    /* A newer build adds fields at the end. */
    memset(packet + len, 0x5a, sizeof(packet) - len);
    assert_int_equal(send(p->a, packet, len + 40, 0), len + 40);
    assert_int_equal(kw_recv(p->b, &got), 1);
    assert_true(got.token == m.token);
    assert_int_equal(send(p->a, packet, sizeof(packet), 0), sizeof(packet));
    assert_int_equal(kw_recv(p->b, &got), 1);
}

static void test_garbage(void **state)
{
    struct pair *p = *state;
    unsigned char packet[KW_PACKET_MAX];
    struct kw_msg got;

    srandom(7);
    for (int i = 0; i < 20000; i++) {
        size_t len = 1 + (size_t)random() % (sizeof(packet) - 1);

        for (size_t j = 0; j < len; j++)
            packet[j] = (unsigned char)random();
        if (len > 100 && (i & 1))
            memset(packet + 96, 0, 12); /* so that counts are small and more of the message is looked at */
        assert_int_equal(send(p->a, packet, len, 0), len);
        int rc = kw_recv(p->b, &got);
        assert_true(rc == -EBADMSG || rc == 1);
        assert_true(rc != 1 || got.note_len <= KW_NOTE_MAX);
    }
}

static void test_fewer_descriptors_than_said(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = {.type = KW_HOLD, .token = 1}, got;
    unsigned char packet[KW_PACKET_MAX];

    kw_add_fd(&m, KW_FD_PIDFD, p->b);
    size_t len = packet_of(p, &m, packet, sizeof(packet)); /* plain recv drops the descriptor */
    assert_int_equal(send(p->a, packet, len, 0), len);
    assert_int_equal(kw_recv(p->b, &got), -EBADMSG);
    assert_int_equal(got.nfds, 0);
}

static void test_no_room_for_descriptors(void **state)
{
    struct pair *p = *state;
    struct kw_msg m = {.type = KW_SPAWN, .token = 99}, got;
    struct rlimit old, tight;
    int next = dup(0);

    close(next);
    kw_add_fd(&m, KW_FD_SPEC, p->b);
    assert_int_equal(kw_send(p->a, &m), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int rc = kw_recv(p->b, &got);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(rc, -EMFILE);
    assert_int_equal(got.type, KW_SPAWN);
    assert_true(got.token == 99);
    assert_int_equal(got.nfds, 0);
}

static void test_words(void **state)
{
    (void)state;
    for (int i = 0; i < KW_STEP_COUNT; i++)
        assert_true(strlen(kw_step_word(i)) > 0);
    assert_string_equal(kw_step_word(KW_STEP_CWD), "change to the working folder");
    assert_non_null(kw_step_word(-1));
    assert_non_null(kw_step_word(KW_STEP_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_without_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_most_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds_of_the_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_end_and_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncated_and_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fewer_descriptors_than_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room_for_descriptors, setup, teardown),
        cmocka_unit_test(test_words),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
