#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "daemon/keeperlink.h"

struct fixture {
    uv_loop_t loop;
    struct keeper_link *link;
    int peer;
    int fds_before;
    unsigned messages, lost;
    uint64_t last_token;
    int kept_fd;
    bool close_in_message, stop_at_message;
    int asked_fd;
};

static struct fixture f;

static int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void on_message(void *arg, struct kw_msg *m)
{
    struct fixture *x = arg;

    assert_true(m->type == KW_EXEC || m->type == KW_CHILD);
    assert_true(m->token > x->last_token); /* in order */
    x->last_token = m->token;
    x->messages++;
    if (x->kept_fd < 0)
        x->kept_fd = kw_take_fd(m, KW_FD_STDOUT);
    if (x->close_in_message) {
        keeper_link_close(x->link);
        x->link = NULL;
    }
    if (x->stop_at_message)
        uv_stop(&x->loop);
}

static void on_lost(void *arg)
{
    struct fixture *x = arg;

    x->lost++;
    uv_stop(&x->loop);
}

static int setup(void **state)
{
    const struct keeper_link_hooks hooks = {&f, on_message, on_lost};
    int fds[2];

    f = (struct fixture){.kept_fd = -1, .asked_fd = -1, .fds_before = count_fds()};
    assert_int_equal(uv_loop_init(&f.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    f.peer = fds[1];
    f.link = keeper_link_new(&f.loop, fds[0], &hooks);
    assert_non_null(f.link);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    keeper_link_close(x->link);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    if (x->peer >= 0)
        close(x->peer);
    if (x->kept_fd >= 0)
        close(x->kept_fd);
    int rc = uv_loop_close(&x->loop), after = count_fds();
    if (rc == 0 && after == x->fds_before)
        return 0;
    fprintf(stderr, "left behind: %s, descriptors %d -> %d\n", rc ? "a handle" : "no handle", x->fds_before,
            after);
    return -1;
}

static void test_receives(void **state)
{
    struct fixture *x = *state;
    struct kw_msg m = {.type = KW_CHILD, .token = 1};

    kw_add_fd(&m, KW_FD_STDOUT, x->peer);
    kw_add_fd(&m, KW_FD_STDERR, x->peer); /* nobody takes it: closed */
    assert_int_equal(kw_send(x->peer, &m), 0);
    assert_int_equal(send(x->peer, "garbage", 7, 0), 7);
    m = (struct kw_msg){.type = KW_EXEC, .token = 2};
    assert_int_equal(kw_send(x->peer, &m), 0);
    for (int i = 0; i < 10 && x->messages < 2; i++)
        uv_run(&x->loop, UV_RUN_ONCE);
    assert_int_equal(x->messages, 2);
    assert_true(x->kept_fd >= 0);
}

static void test_last_messages_before_the_end(void **state)
{
    struct fixture *x = *state;
    struct kw_msg beat = {.type = KW_BEAT};

    /* Unread packets on the keeper's side make its death an error condition here. */
    assert_int_equal(keeper_link_send(x->link, &beat), 0);
    for (uint64_t i = 1; i <= 150; i++) {
        struct kw_msg m = {.type = KW_EXEC, .token = i};

        assert_int_equal(kw_send(x->peer, &m), 0);
    }
    close(x->peer);
    x->peer = -1;
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(x->messages, 150);
    assert_int_equal(x->lost, 1);
    assert_int_equal(keeper_link_send(x->link, &beat), -EPIPE);
    uv_run(&x->loop, UV_RUN_NOWAIT);
    assert_int_equal(x->lost, 1);
}

static void test_send_to_the_dead(void **state)
{
    struct fixture *x = *state;
    struct kw_msg beat = {.type = KW_BEAT};

    close(x->peer);
    x->peer = -1;
    assert_int_equal(keeper_link_send(x->link, &beat), -EPIPE);
    assert_int_equal(x->lost, 0); /* not from within the call */
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(x->lost, 1);
}

static void test_queue_in_order(void **state)
{
    struct fixture *x = *state;
    enum { N = 3000 };
    uint64_t want = 1;

    for (uint64_t i = 1; i <= N; i++) {
        struct kw_msg m = {.type = KW_HOLD, .token = i};
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        kw_add_fd(&m, KW_FD_SPOOL_OUT, fd);
        assert_int_equal(keeper_link_send(x->link, &m), 0);
        close(fd); /* ours again at once: the queue has its own */
    }
    while (want <= N) {
        struct kw_msg m;
        int rc;

        while ((rc = kw_recv(x->peer, &m)) == 1) {
            assert_true(m.token == want);
            assert_int_equal(m.nfds, 1);
            kw_close_fds(&m);
            want++;
        }
        assert_int_equal(rc, -EAGAIN);
        uv_run(&x->loop, UV_RUN_NOWAIT);
    }
}

static void test_queue_is_bounded(void **state)
{
    struct fixture *x = *state;
    struct kw_msg m = {.type = KW_BEAT};
    unsigned n = 0;
    int rc;

    while ((rc = keeper_link_send(x->link, &m)) == 0)
        n++;
    assert_int_equal(rc, -ENOBUFS);
    assert_in_range(n, 65536, 70000);
}

static void test_closed_by_the_hook(void **state)
{
    struct fixture *x = *state;

    x->close_in_message = true;
    for (uint64_t i = 1; i <= 3; i++) {
        struct kw_msg m = {.type = KW_EXEC, .token = i};

        assert_int_equal(kw_send(x->peer, &m), 0);
    }
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(x->messages, 1);
    assert_int_equal(x->lost, 0);
    keeper_link_close(NULL);
}

static void test_a_turn_has_a_limit(void **state)
{
    struct fixture *x = *state;

    x->stop_at_message = true;
    for (uint64_t i = 1; i <= 100; i++) {
        struct kw_msg m = {.type = KW_EXEC, .token = i};

        assert_int_equal(kw_send(x->peer, &m), 0);
    }
    uv_run(&x->loop, UV_RUN_ONCE);
    assert_int_equal(x->messages, 64);
}

/* What keeper_start_new executes in this test: answers with its own pid, parent and session. */
static int fake_keeper(char **argv)
{
    struct kw_msg m = {.type = KW_EXEC, .token = 1, .pid = getpid(), .arg = (uint64_t)getppid()};

    alarm(20);
    if (strcmp(argv[2], "3") != 0 || strcmp(argv[3], "--home") != 0)
        return 90;
    snprintf((char *)m.note, sizeof(m.note), "%s", argv[4]);
    m.note_len = (uint16_t)strlen(argv[4]);
    m.error = count_fds() - 3; /* without ".", ".." and the folder itself */
    return kw_send(3, &m) < 0 ? 91 : 0;
}

static void test_start_new(void **state)
{
    struct fixture *x = *state;
    struct home home = {.path = (char *)"/some/home", .dirfd = -1};
    struct pollfd p = {.events = POLLIN};
    struct kw_msg m;
    struct err e;

    (void)x;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    p.fd = keeper_start_new("/proc/self/exe", "/proc/self/exe", &home, &e);
    assert_true(p.fd >= 0);
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(kw_recv(p.fd, &m), 1);
    assert_int_equal(m.note_len, strlen(home.path));
    assert_memory_equal(m.note, home.path, m.note_len);
    assert_int_equal(m.error, 4); /* 0, 1, 2 and the link */
    int status;
    assert_int_equal(waitpid(m.pid, &status, 0),
                     m.pid); /* it came to us as to a subreaper, not as our child */
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    close(p.fd);
    /* What cannot be executed shows as the end of the link. */
    p.fd = keeper_start_new("/nonexistent", "/nonexistent", &home, &e);
    assert_true(p.fd >= 0);
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(kw_recv(p.fd, &m), 0);
    close(p.fd);
    assert_true(waitpid(-1, NULL, 0) > 0);
}

static void on_asked(void *arg, int fd)
{
    struct fixture *x = arg;

    x->asked_fd = fd;
    uv_stop(&x->loop);
}

static void test_attach(void **state)
{
    struct fixture *x = *state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/pm-attach-XXXXXX";
    int listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    assert_non_null(mkdtemp(dir));
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(listen_fd, 4), 0);
    struct keeper_attach *attach = keeper_attach_new(&x->loop, listen_fd, on_asked, x);
    assert_non_null(attach);
    uv_run(&x->loop, UV_RUN_NOWAIT);
    assert_int_equal(x->asked_fd, -1);
    int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_true(x->asked_fd >= 0);
    assert_true(fcntl(x->asked_fd, F_GETFD) & FD_CLOEXEC);
    close(x->asked_fd);
    close(client);
    keeper_attach_close(attach);
    keeper_attach_close(NULL);
    keeper_link_close(x->link);
    x->link = NULL;
    uv_run(&x->loop, UV_RUN_DEFAULT);
    close(listen_fd);
    unlink(a.sun_path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_receives),
        T(test_last_messages_before_the_end),
        T(test_send_to_the_dead),
        T(test_queue_in_order),
        T(test_queue_is_bounded),
        T(test_closed_by_the_hook),
        T(test_a_turn_has_a_limit),
        T(test_start_new),
        T(test_attach),
    };

    if (argc > 4 && strcmp(argv[1], "--attach-fd") == 0)
        return fake_keeper(argv);
    alarm(60);
    /* libuv keeps two descriptors for the whole process from its first loop on. */
    if (uv_loop_init(&f.loop) < 0 || uv_loop_close(&f.loop) < 0)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
