/* The Node channel, the readiness socket and the watch over foreign children, each on a real loop with real
 * peers. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "daemon/channel.h"
#include "daemon/foreign.h"
#include "daemon/notify.h"

struct seen {
    struct buf text; /* the lines, each followed by "|" */
    unsigned lines;
    size_t longest;
    unsigned ready, writable, ends;
    bool midline;
    bool ended, known;
    int status;
};

static uv_loop_t loop;
static struct seen seen;

static int setup(void **state)
{
    (void)state;
    alarm(30);
    seen = (struct seen){0};
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&seen.text);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop); /* fails when a handle is left */
}

static enum channel_verdict on_line(void *arg, const char *line, size_t len, size_t in_socket)
{
    struct seen *s = arg;

    (void)in_socket;
    s->lines++;
    s->longest = len > s->longest ? len : s->longest;
    if (len < 100) {
        buf_append(&s->text, line, len);
        buf_putc(&s->text, '|');
    }
    return CHANNEL_DONE;
}

static enum channel_verdict on_part(void *arg, const char *data, size_t len)
{
    (void)arg, (void)data, (void)len;
    return CHANNEL_DONE;
}

static void on_midline(void *arg, bool on)
{
    struct seen *s = arg;

    s->midline = on;
}

static void on_writable(void *arg)
{
    struct seen *s = arg;

    s->writable++;
}

static void on_channel_ended(void *arg)
{
    struct seen *s = arg;

    s->ends++;
}

static struct channel *open_channel(int fd)
{
    const struct channel_hooks hooks = {.arg = &seen,
                                        .line = on_line,
                                        .part = on_part,
                                        .midline = on_midline,
                                        .writable = on_writable,
                                        .ended = on_channel_ended};

    return channel_new(&loop, fd, false, &hooks);
}

static void spin(void)
{
    for (int i = 0; i < 60; i++) { /* longer than the pauses between looks at half a line */
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_DONTWAIT);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            uv_run(&loop, UV_RUN_NOWAIT);
            continue;
        }
        data += n;
        len -= (size_t)n;
    }
}

static void lines_are_whole_however_they_come(void **state)
{
    struct channel *c;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c = open_channel(fds[0]);
    write_all(fds[1], "\"ready\"\n{\"a\":", 13);
    spin();
    assert_string_equal(seen.text.data, "\"ready\"|");
    write_all(fds[1], "1}\n\n\"x\"\n", 8);
    spin();
    assert_string_equal(seen.text.data, "\"ready\"|{\"a\":1}||\"x\"|");
    channel_free(c);
    spin();
    close(fds[0]);
    close(fds[1]);
}

/* What was not a whole line yet stays in the socket, for the engine that comes after this one. */
static void half_a_line_is_left_for_the_next_reader(void **state)
{
    struct channel *c;
    char rest[32] = {0};
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c = open_channel(fds[0]);
    write_all(fds[1], "\"one\"\n\"rea", 10);
    spin();
    channel_free(c);
    spin();
    assert_int_equal(recv(fds[0], rest, sizeof(rest), MSG_DONTWAIT), 4);
    assert_string_equal(rest, "\"rea");
    close(fds[0]);
    close(fds[1]);
}

/* It stays in the socket, which is readable all the time: the loop must not turn for that. */
static void half_a_line_costs_nothing(void **state)
{
    struct channel *c;
    uint64_t end;
    int fds[2], turns = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c = open_channel(fds[0]);
    write_all(fds[1], "\"rea", 4);
    uv_update_time(&loop);
    for (end = uv_now(&loop) + 400; uv_now(&loop) < end; turns++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_in_range(turns, 1, 40);
    write_all(fds[1], "dy\"\n", 4);
    for (int i = 0; i < 3 && !seen.lines; i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(seen.text.data, "\"ready\"|");
    close(fds[1]);
    spin();
    channel_free(c);
    spin();
    close(fds[0]);
}

static void long_lines_pass_and_endless_ones_are_skipped(void **state)
{
    size_t size = 3 * 1024 * 1024;
    char *big = xmalloc(size);
    struct channel *c;
    int fds[2];

    (void)state;
    memset(big, 'x', size);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c = open_channel(fds[0]);
    write_all(fds[1], big, 300000);
    write_all(fds[1], "\n", 1);
    spin();
    assert_int_equal(seen.longest, 300000);
    write_all(fds[1], big, size);
    write_all(fds[1], "\n\"after\"\n", 9);
    spin();
    assert_int_equal(seen.longest, 300000);
    assert_string_equal(seen.text.data, "\"after\"|");
    channel_free(c);
    spin();
    close(fds[0]);
    close(fds[1]);
    free(big);
}

static void sends_whole_lines_and_notices_a_dead_peer(void **state)
{
    struct channel *c;
    char got[32] = {0};
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c = open_channel(fds[0]);
    assert_int_equal(channel_send(c, "\"shutdown\""), 0);
    assert_int_equal(recv(fds[1], got, sizeof(got), 0), 11);
    assert_string_equal(got, "\"shutdown\"\n");
    close(fds[1]);
    spin();
    assert_int_equal(channel_send(c, "\"shutdown\""), -EPIPE);
    channel_free(c);
    spin();
    close(fds[0]);
}

static void on_ready(void *arg, uint64_t run)
{
    struct seen *s = arg;

    assert_int_equal(run, 9);
    s->ready++;
}

static unsigned said[3];

static void on_said(void *arg, uint64_t run, enum notify_word word)
{
    said[word]++;
    if (word == NOTIFY_READY)
        on_ready(arg, run);
}

static void tell(const char *name, const char *text)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t len;

    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                      (size_t)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", name));
    assert_int_equal(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&addr, len), strlen(text));
    close(fd);
}

static void only_ready_1_makes_ready(void **state)
{
    char name[64];
    struct notify *n;
    int fd = notify_bind("0123456789abcdef0123456789abcdef", 9, name, sizeof(name));

    (void)state;
    assert_true(fd >= 0);
    n = notify_new(&loop, fd, 9, getuid(), on_said, &seen);
    tell(name, "STATUS=READY=1 soon");
    tell(name, "READY=10");
    tell(name, "");
    spin();
    assert_int_equal(seen.ready, 0);
    tell(name, "STATUS=up\nREADY=1\n");
    spin();
    assert_int_equal(seen.ready, 1);
    assert_int_equal(said[NOTIFY_WATCHDOG], 0);
    tell(name, "WATCHDOG=1");
    tell(name, "WATCHDOG=trigger\n");
    tell(name, "WATCHDOG=12");
    spin();
    assert_int_equal(said[NOTIFY_WATCHDOG], 1);
    assert_int_equal(said[NOTIFY_TRIGGER], 1);
    assert_int_equal(seen.ready, 1);
    notify_free(n);
    spin();
    close(fd);
}

static void strangers_cannot_make_ready(void **state)
{
    char name[64];
    struct notify *n;
    int status, fd;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can become somebody else */
    fd = notify_bind("0123456789abcdef0123456789abcdef", 9, name, sizeof(name));
    assert_true(fd >= 0);
    n = notify_new(&loop, fd, 9, 12345, on_said, &seen);
    pid = fork();
    if (pid == 0) {
        if (setuid(65534) == 0)
            tell(name, "READY=1");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    spin();
    assert_int_equal(seen.ready, 0);
    notify_free(n);
    spin();
    close(fd);
}

static void on_ended(void *arg, uint64_t run, bool known, int status)
{
    struct seen *s = arg;

    assert_int_equal(run, 11);
    s->ended = true;
    s->known = known;
    s->status = status;
}

/* A child that is somebody else's to reap: here an intermediate parent's. */
static void the_end_of_a_foreign_child_is_seen(void **state)
{
    int report[2], go[2], pidfd;
    pid_t parent, child = 0;

    (void)state;
    assert_int_equal(pipe(report), 0);
    assert_int_equal(pipe(go), 0);
    parent = fork();
    if (parent == 0) {
        char c;

        child = fork();
        if (child == 0) {
            if (read(go[0], &c, 1) == 1)
                _exit(7);
            _exit(1);
        }
        if (write(report[1], &child, sizeof(child)) != (ssize_t)sizeof(child))
            _exit(1);
        waitpid(child, NULL, 0);
        _exit(0);
    }
    assert_int_equal(read(report[0], &child, sizeof(child)), sizeof(child));
    pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    assert_true(pidfd >= 0);
    assert_non_null(foreign_watch(&loop, pidfd, child, 11, on_ended, &seen));
    spin();
    assert_false(seen.ended);
    assert_int_equal(write(go[1], "x", 1), 1);
    while (!seen.ended)
        uv_run(&loop, UV_RUN_ONCE);
    if (seen.known) { /* kernels before 6.15 cannot tell */
        assert_true(WIFEXITED(seen.status));
        assert_int_equal(WEXITSTATUS(seen.status), 7);
    }
    waitpid(parent, NULL, 0);
    close(pidfd);
    for (int i = 0; i < 2; i++) {
        close(report[i]);
        close(go[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_whole_however_they_come, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_line_is_left_for_the_next_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_line_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_pass_and_endless_ones_are_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(sends_whole_lines_and_notices_a_dead_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(only_ready_1_makes_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_cannot_make_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_foreign_child_is_seen, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
