/* The keeper's state as a file, and the exec in place. */
#include "keeper_rig.h"

#include <sys/mman.h>

#include "keeper/handover.h"
#include "keeper/link.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* ---- the file ---- */

static struct keeper from, to;

static void keeper_begin(struct keeper *k)
{
    *k = (struct keeper){.engine = {.pidfd = -1, .err_fd = -1, .image = -1}};
    table_init(&k->table);
    link_init(&k->link);
}

static int setup_keepers(void **state)
{
    (void)state;
    keeper_begin(&from);
    keeper_begin(&to);
    return 0;
}

/* `to` names the descriptors of `from`: only one may close them. */
static void forget_to(void)
{
    struct record *r;

    to.table.self.exec_fd = -1;
    for (int i = 0; i < KW_FD_COUNT; i++)
        to.table.self.fds[i] = -1;
    TAILQ_FOREACH (r, &to.table.all, all) {
        r->exec_fd = -1;
        for (int i = 0; i < KW_FD_COUNT; i++)
            r->fds[i] = -1;
    }
    table_deinit(&to.table);
}

static int teardown_keepers(void **state)
{
    (void)state;
    forget_to();
    table_deinit(&from.table);
    return 0;
}

static int some_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd > 2);
    return fd;
}

static struct record *fill_record(uint64_t token)
{
    struct record *r = table_add(&from.table, token);

    assert_non_null(r);
    r->proc = (uint32_t)token + 1;
    r->flags = KW_EXEC_KNOWN;
    r->start_ticks = token * 1000003;
    r->start_us = UINT64_MAX - token;
    r->maxrss_bytes = 1ull << 40;
    return r;
}

static void fill(void)
{
    struct record *r;

    strcpy(from.program, "/opt/pm/bin/pmd");
    from.foreground = true;
    from.child_nofile = (struct rlimit){1024, RLIM_INFINITY};
    from.engine.pid = 4711;
    from.engine.ours = from.engine.serves = true;
    from.engine.starts = 17;
    record_hold(&from.table.self, KW_FD_LOCK, some_fd());
    r = fill_record(5);
    table_set_pid(&from.table, r, 1234);
    r->note_len = KW_NOTE_MAX;
    memset(r->note, 0xa5, sizeof(r->note));
    record_hold(r, KW_FD_PIDFD, some_fd());
    r->exec_fd = some_fd();
    r = fill_record(3);
    r->pid = 77;
    r->reaped = true;
    r->flags |= KW_HAS_EXITED;
    r->wait_status = 0x8b;
    r->error = -5;
    record_hold(r, KW_FD_SPOOL_ERR, some_fd());
    fill_record(900);
    table_remove(&from.table, table_find(&from.table, 900)); /* the highest ever stays */
}

static void test_round_trip(void **state)
{
    struct err e = {0};
    struct record *a, *b;
    int fd;

    (void)state;
    fill();
    fd = handover_write(&from, &e);
    assert_true(fd > 2);
    assert_int_equal(handover_read(&to, fd, &e), 0);
    assert_string_equal(to.program, from.program);
    assert_true(to.foreground && !to.attached);
    assert_true(to.child_nofile.rlim_cur == 1024 && to.child_nofile.rlim_max == RLIM_INFINITY);
    assert_true(to.engine.pid == 4711 && to.engine.starts == 17 && to.engine.serves && to.engine.ours);
    assert_true(to.engine.pidfd == -1 && to.engine.image == -1 && to.link.fd == -1);
    assert_true(to.table.highest == 900 && to.table.count == 2);
    assert_int_equal(to.table.self.fds[KW_FD_LOCK], from.table.self.fds[KW_FD_LOCK]);
    for (a = TAILQ_FIRST(&from.table.all), b = TAILQ_FIRST(&to.table.all); a && b;
         a = TAILQ_NEXT(a, all), b = TAILQ_NEXT(b, all)) { /* in the same order */
        assert_true(a->token == b->token && a->proc == b->proc && a->flags == b->flags && a->pid == b->pid);
        assert_true(a->wait_status == b->wait_status && a->error == b->error && a->start_us == b->start_us);
        assert_true(a->start_ticks == b->start_ticks && a->maxrss_bytes == b->maxrss_bytes);
        assert_true(a->reaped == b->reaped && a->acked == b->acked && a->exec_fd == b->exec_fd);
        assert_memory_equal(a->fds, b->fds, sizeof(a->fds));
        assert_int_equal(a->note_len, b->note_len);
        assert_memory_equal(a->note, b->note, a->note_len);
    }
    assert_true(!a && !b);
    assert_ptr_equal(table_find_pid(&to.table, 1234), table_find(&to.table, 5));
    assert_null(table_find_pid(&to.table, 77));
    handover_keep_open(&to, true);
    assert_int_equal(fcntl(from.table.self.fds[KW_FD_LOCK], F_GETFD), 0);
    handover_keep_open(&to, false);
    assert_int_equal(fcntl(from.table.self.fds[KW_FD_LOCK], F_GETFD), FD_CLOEXEC);
    close(fd);
}

static int seal(const uint8_t *data, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
    return fd;
}

static int try_read(const uint8_t *data, size_t len, struct err *e)
{
    int fd = seal(data, len), rc;

    forget_to();
    keeper_begin(&to);
    rc = handover_read(&to, fd, e);
    close(fd);
    return rc;
}

/* Cut anywhere, or with any byte changed: an error or a table, never more. */
static void test_damaged(void **state)
{
    static uint8_t data[16384], bad[16384];
    struct err e = {0};
    ssize_t len;
    int fd;

    (void)state;
    fill();
    fd = handover_write(&from, &e);
    len = pread(fd, data, sizeof(data), 0);
    assert_true(len > 500 && len < (ssize_t)sizeof(data));
    close(fd);
    for (ssize_t cut = 0; cut < len; cut++)
        assert_true(try_read(data, (size_t)cut, &e) < 0);
    for (ssize_t at = 0; at < len; at++) {
        memcpy(bad, data, (size_t)len);
        bad[at] ^= 0xff;
        try_read(bad, (size_t)len, &e);
        bad[at] ^= 0xfe;
        try_read(bad, (size_t)len, &e);
    }
    memcpy(bad, data, (size_t)len);
    bad[24]++; /* the version, after the head of the first frame and the magic number */
    assert_int_equal(try_read(bad, (size_t)len, &e), -EPROTO);
    assert_non_null(strstr(e.msg, "has version 3"));
}

static void test_not_sealed(void **state)
{
    struct err e;
    int fd = memfd_create("test", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(handover_read(&to, fd, &e), -EBADMSG);
    close(fd);
    fd = some_fd();
    assert_int_equal(handover_read(&to, fd, &e), -EBADMSG);
    close(fd);
}

static void test_full_table(void **state)
{
    struct err e;
    int fd;

    (void)state;
    for (uint64_t i = 1; i <= TABLE_MAX; i++)
        fill_record(i);
    fd = handover_write(&from, &e);
    assert_true(fd > 2);
    assert_int_equal(handover_read(&to, fd, &e), 0);
    assert_int_equal(to.table.count, TABLE_MAX);
    close(fd);
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(keeper_check_upgrade("1"), KEEPER_CAN_UPGRADE);
    assert_int_equal(keeper_check_upgrade("2"), KEEPER_CAN_UPGRADE);
    assert_int_equal(keeper_check_upgrade("0"), 1);
    assert_int_equal(keeper_check_upgrade("99"), 1);
    assert_int_equal(keeper_check_upgrade("x"), 1);
}

/* ---- the exec: this program stands in for pmd ---- */

static struct rig rig;

static int setup(void **state)
{
    *state = &rig;
    assert_int_equal(rig_init(&rig), 0);
    setenv("RIG_DOOR", rig.door, 1);
    unsetenv("RIG_REFUSES");
    return 0;
}

static int teardown(void **state)
{
    return rig_deinit(*state);
}

/* What pmd does with its flags. */
static int as_pmd(int argc, char **argv)
{
    struct keeper_options o = {.attach_fd = -1};
    char *engine[] = {argv[0], (char *)"body", getenv("RIG_DOOR"), NULL, NULL};
    static char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (strcmp(argv[1], "--check-upgrade") == 0)
        return getenv("RIG_REFUSES") ? 3 : keeper_check_upgrade(argv[2]);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--resume-fd") == 0)
            o.resume_fd = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--previous-fd") == 0)
            o.previous_fd = atoi(argv[i + 1]);
        else
            o.home = engine[3] = argv[i + 1];
    }
    self[n > 0 ? n : 0] = '\0';
    engine[0] = self;
    o.engine_argv = engine;
    return keeper_main(&o);
}

static void upgrade(struct rig *r, int error)
{
    struct kw_msg m;

    rig_plain(r, KW_UPGRADE, 0);
    m = rig_expect(r, KW_UPGRADED, 0);
    assert_int_equal(m.error, error);
    assert_true(error ? m.note_len > 0 : m.note_len == 0);
}

static void test_exec_in_place(void **state)
{
    struct rig *r = *state;
    struct kw_msg one, m;
    int in, out;

    rig_start(r);
    one = rig_run(r, 1, "read a; echo $a; read b; exit 5");
    in = kw_take_fd(&one, KW_FD_STDIN);
    out = kw_take_fd(&one, KW_FD_STDOUT);
    kw_close_fds(&one);
    m = rig_run(r, 2, "exit 6");
    kw_close_fds(&m);
    rig_expect(r, KW_EXITED, 2); /* and it is not acknowledged */
    for (int i = 0; i < 3; i++)
        upgrade(r, 0);
    rig_nothing_more(r); /* the engine has been told all of it already */
    assert_int_equal(write(in, "x\ny\n", 4), 4);
    expect_output(out, "x\n");
    m = rig_expect(r, KW_EXITED, 1);
    assert_int_equal(m.wait_status, 5 << 8);
    m = rig_run(r, 3, "exec sleep 100"); /* it still spawns */
    kw_close_fds(&m);
    /* The next engine gets everything. */
    kill(r->engine, SIGKILL);
    rig_next_engine(r);
    rig_hello(r);
    rig_ask_snapshot(r);
    m = rig_expect(r, KW_CHILD, 1);
    assert_int_equal(m.flags, KW_EXEC_KNOWN | KW_HAS_EXITED);
    kw_close_fds(&m);
    m = rig_expect(r, KW_CHILD, 2);
    assert_int_equal(m.wait_status, 6 << 8);
    assert_int_equal(m.nfds, 5);
    kw_close_fds(&m);
    m = rig_expect(r, KW_CHILD, 3);
    assert_int_equal(m.flags, KW_EXEC_KNOWN);
    kw_close_fds(&m);
    m = rig_snapshot_end(r);
    assert_true(m.token == 3 && m.arg == 2);
    assert_int_equal(rig_bye(r, 9), 9 << 8);
    close(in);
    close(out);
}

static void test_a_program_that_cannot(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;

    setenv("RIG_REFUSES", "1", 1);
    rig_start(r);
    m = rig_run(r, 1, "read a; exit 5");
    int in = kw_take_fd(&m, KW_FD_STDIN);
    kw_close_fds(&m);
    upgrade(r, ECANCELED);
    upgrade(r, ECANCELED);
    assert_int_equal(write(in, "x\n", 2), 2);
    m = rig_expect(r, KW_EXITED, 1);
    assert_int_equal(m.wait_status, 5 << 8);
    close(in);
}

/* Spawns on their way while the program changes: each is answered once, whichever of the two did it. */
static void test_spawns_meanwhile(void **state)
{
    struct rig *r = *state;
    unsigned children = 0, execs = 0, ends = 0, upgraded = 0;

    rig_start(r);
    for (uint64_t token = 1; token <= 40; token++) {
        rig_spawn(r, token, "exit 7");
        if (token == 5)
            rig_plain(r, KW_UPGRADE, 0);
    }
    while (ends < 40 || !upgraded) {
        struct kw_msg m = recv_any(r->link);

        children += m.type == KW_CHILD;
        execs += m.type == KW_EXEC && m.error == 0;
        ends += m.type == KW_EXITED && m.wait_status == 7 << 8;
        upgraded += m.type == KW_UPGRADED && m.error == 0;
        kw_close_fds(&m);
    }
    rig_nothing_more(r);
    assert_true(children == 40 && execs == 40 && ends == 40 && upgraded == 1);
}

static void test_sigterm_meanwhile(void **state)
{
    struct rig *r = *state;
    struct kw_msg m;
    bool stop = false, answered = false;

    rig_start(r);
    rig_plain(r, KW_UPGRADE, 0);
    kill(r->keeper, SIGTERM);
    while (!stop || !answered) { /* in whichever order, and whether it went well or not */
        m = recv_any(r->link);
        stop |= m.type == KW_SIGNAL && m.arg == SIGTERM;
        answered |= m.type == KW_UPGRADED;
    }
    assert_int_equal(rig_bye(r, 0), 0);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define F(f) cmocka_unit_test_setup_teardown(f, setup_keepers, teardown_keepers)
    const struct CMUnitTest tests[] = {
        F(test_round_trip),
        F(test_damaged),
        F(test_not_sealed),
        F(test_full_table),
        F(test_versions),
        T(test_exec_in_place),
        T(test_a_program_that_cannot),
        T(test_spawns_meanwhile),
        T(test_sigterm_meanwhile),
    };

    if (argc > 2 && strcmp(argv[1], "body") == 0)
        return body_main(argv);
    if (argc > 2)
        return as_pmd(argc, argv);
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
