/* `listen`: the forms of an address, what follows from them, and lists of mappings on their way. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/config.h"
#include "config/listen.h"
#include "config/options.h"

static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", NULL};

static struct app_spec *load(const char *listen)
{
    struct config_ctx ctx = {.cwd = "/tmp", .environ = environment};
    _cleanup_free_ char *text = xasprintf("script: /bin/true\nlisten: %s\n", listen);
    struct config_report report = {0};
    struct app_list apps;
    struct app_spec *s;

    if (config_load_text(&ctx, "x.yaml", text, strlen(text), CONFIG_YAML, &apps, &report) < 0)
        fail_msg("%s", report.errors.data);
    assert_int_equal(apps.n, 1);
    s = apps.v[0];
    apps.n = 0;
    free(apps.names[0]);
    app_list_free(&apps);
    config_report_free(&report);
    return s;
}

static struct listen_options *entry(struct app_spec *s, unsigned i)
{
    assert_true(i < s->listen.n);
    return &s->listen.v[i];
}

static void check_address(const char *text, enum listen_kind kind, const char *host, int port, bool v6only)
{
    struct app_spec *s = load(text);
    struct listen_options *l = entry(s, 0);

    assert_int_equal(s->listen.n, 1);
    assert_int_equal(l->kind, kind);
    assert_string_equal(l->host, host);
    assert_int_equal(l->port, port);
    assert_true(l->v6only == v6only);
    assert_int_equal(l->backlog, 511);
    app_spec_free(s);
}

static void test_addresses(void **state)
{
    (void)state;
    check_address("3000", LISTEN_TCP, "", 3000, false);
    check_address("\"3000\"", LISTEN_TCP, "", 3000, false);
    check_address(":3000", LISTEN_TCP, "", 3000, false);
    check_address("\"*:3000\"", LISTEN_TCP, "", 3000, false);
    check_address("127.0.0.1:8000", LISTEN_TCP, "127.0.0.1", 8000, false);
    check_address("localhost:0", LISTEN_TCP, "127.0.0.1", 0, false);
    check_address("\"[::]:80\"", LISTEN_TCP, "::", 80, false);
    check_address("\"[0:0::1]:80\"", LISTEN_TCP, "::1", 80, false);
    check_address("tcp:0.0.0.0:80", LISTEN_TCP, "0.0.0.0", 80, false);
    check_address("tcp6:80", LISTEN_TCP, "::", 80, true);
    check_address("{tcp6: localhost:80}", LISTEN_TCP, "::1", 80, true);
    check_address("udp:53", LISTEN_UDP, "", 53, false);
    check_address("[{udp: 127.0.0.1:53}]", LISTEN_UDP, "127.0.0.1", 53, false);
    check_address("{tcp: 65535}", LISTEN_TCP, "", 65535, false);
}

static void test_unix(void **state)
{
    struct app_spec *s =
        load("[unix:run/x.sock, {unix: ~/y, mode: 0660, owner: 0, group: root, backlog: 5}]");

    (void)state;
    assert_int_equal(entry(s, 0)->kind, LISTEN_UNIX);
    assert_string_equal(entry(s, 0)->path, "/tmp/run/x.sock");
    assert_int_equal(entry(s, 0)->mode, 0);
    assert_string_equal(entry(s, 1)->path, "/root/y");
    assert_int_equal(entry(s, 1)->mode, 0660);
    assert_string_equal(entry(s, 1)->owner, "0");
    assert_string_equal(entry(s, 1)->group, "root");
    assert_int_equal(entry(s, 1)->backlog, 5);
    assert_string_equal(entry(s, 0)->name, "listen0");
    app_spec_free(s);
}

static void test_names(void **state)
{
    struct app_spec *s = load("[80, 127.0.0.1:80, {tcp: 81, name: web}, {tcp: 82, slots: true}, unix:a]");

    (void)state;
    assert_string_equal(entry(s, 0)->name, "80");
    assert_string_equal(entry(s, 1)->name, "listen1");
    assert_string_equal(entry(s, 2)->name, "web");
    assert_true(entry(s, 3)->slots);
    assert_int_equal(listen_index(&s->listen, "82"), 3);
    assert_int_equal(listen_index(&s->listen, "listen4"), 4);
    assert_int_equal(listen_index(&s->listen, "83"), -1);
    app_spec_free(s);
}

static void test_modes(void **state)
{
    static const char *const bad[] = {"660", "0", "08", "01000", "0o", "00000000660", "rw"};
    const struct option_row *row = option_group_find(&listen_group, "mode");
    struct listen_options l = {0};
    struct err e;

    (void)state;
    assert_int_equal(option_set_text(row, &l, "0o640", &e), 0);
    assert_int_equal(l.mode, 0640);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(option_set_text(row, &l, bad[i], &e) < 0);
}

/* As the command line gives it: one address a line. */
static void test_text(void **state)
{
    const struct option_row *row = option_find("listen");
    struct app_spec *s = app_spec_new();
    struct err e;

    (void)state;
    assert_int_equal(option_set_text(row, s, "3000\nunix:/run/x.sock", &e), 0);
    assert_int_equal(s->listen.n, 2);
    assert_int_equal(option_set_text(row, s, "udp:53", &e), 0); /* in place of what was there */
    assert_int_equal(s->listen.n, 1);
    assert_true(option_set_text(row, s, "80\n80", &e) < 0);
    assert_string_equal(e.msg, "is the same address as listen[0]");
    assert_int_equal(s->listen.n, 0);
    app_spec_free(s);
}

static void test_too_many(void **state)
{
    const struct option_row *row = option_find("listen");
    struct app_spec *s = app_spec_new();
    char text[OPTION_LIST_MAX * 8 + 16] = "";
    struct err e;
    json_t *list = json_array(), *set = json_pack("{s:o}", "listen", list);

    (void)state;
    for (int i = 0; i <= OPTION_LIST_MAX; i++) {
        sprintf(text + strlen(text), "%s%d", i ? "\n" : "", 3000 + i);
        json_array_append_new(list, json_pack("{s:s+}", "tcp", "30", i < 10 ? "00" : "01"));
    }
    assert_true(option_set_text(row, s, text, &e) < 0);
    assert_string_equal(e.msg, "more than 64 entries");
    assert_null(app_spec_with_json(s, set, &e));
    assert_string_equal(e.msg, "listen: expected a list of at most 64 objects");
    json_decref(set);
    app_spec_free(s);
}

static void test_wire(void **state)
{
    struct app_spec *s = load("[{tcp: 127.0.0.1:80, adopt: true}, {unix: /run/a, mode: 0600}]"), *copy,
                    *again;
    json_t *j, *list;
    struct err e;

    (void)state;
    copy = app_spec_dup(s);
    app_spec_free(s);
    j = app_spec_to_json(copy);
    list = json_object_get(j, "listen");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_object_size(json_array_get(list, 0)), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "mode")), 0600);
    again = app_spec_from_json(j, &e);
    assert_non_null(again);
    assert_true(entry(again, 0)->adopt);
    assert_string_equal(entry(again, 0)->host, "127.0.0.1");
    assert_int_equal(entry(again, 0)->port, 80);
    assert_string_equal(entry(again, 1)->name, "listen1");
    assert_string_equal(entry(again, 1)->path, "/run/a");
    app_spec_free(again);
    /* An empty list over a known one takes all away. */
    json_object_set_new(j, "listen", json_array());
    again = app_spec_with_json(copy, j, &e);
    assert_non_null(again);
    assert_int_equal(again->listen.n, 0);
    app_spec_free(again);
    json_decref(j);
    app_spec_free(copy);
}

static void refuse(json_t *list, const char *message)
{
    json_t *j =
        json_pack("{s:s,s:s,s:s,s:o}", "name", "a", "script", "/bin/true", "cwd", "/", "listen", list);
    struct err e;

    assert_null(app_spec_from_json(j, &e));
    assert_string_equal(e.msg, message);
    json_decref(j);
}

static void test_wire_refuses(void **state)
{
    (void)state;
    refuse(json_object(), "listen: expected a list of at most 64 objects");
    refuse(json_pack("[i]", 1), "listen: entry 1: expected an object");
    refuse(json_pack("[{s:s,s:i}]", "tcp", "1", "x", 1), "listen: entry 1: unknown key \"x\"");
    refuse(json_pack("[{s:s},{}]", "tcp", "1"),
           "listen: entry 2: has no address; give one of tcp, tcp6, unix and udp");
    refuse(json_pack("[{s:s}]", "tcp", "x:y"), "listen: entry 1: expected a port or host:port, found \"y\"");
    refuse(json_pack("[{s:s}]", "tcp", "[::1]"),
           "listen: entry 1: expected a port after the address, as in [::1]:3000, found \"[::1]\"");
    refuse(json_pack("[{s:s}]", "unix", "x"), "listen: entry 1: unix: must be an absolute path");
    refuse(json_pack("[{s:s,s:i}]", "unix", "/x", "mode", 4095),
           "listen: entry 1: mode: must be at most 511");
    refuse(json_pack("[{s:s,s:s}]", "tcp", "1", "name", "a{b"),
           "listen: entry 1: name: may have letters, digits, \".\", \"_\" and \"-\" only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_unix),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_modes),
        cmocka_unit_test(test_text),      cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_wire),      cmocka_unit_test(test_wire_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
