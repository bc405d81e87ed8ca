/* Which given socket fits the address that a program binds. */
#include "unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "shim/addresses.h"

static struct place at(const char *text, bool v6only)
{
    struct place p;

    assert_true(place_parse(text, text + strlen(text), &p));
    p.v6only = v6only;
    return p;
}

static enum match match(const char *given, const char *wanted)
{
    struct place g = at(given, false), w = at(wanted, false);

    return place_match(&g, &w);
}

static void test_parse(void **state)
{
    static const char *const bad[] = {"",
                                      ":",
                                      "80",
                                      "1.2.3:80",
                                      "1.2.3.4",
                                      "1.2.3.4:",
                                      "1.2.3.4:0",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:8x",
                                      "::1:80",
                                      "[::1:80",
                                      "[]:80",
                                      "[1.2.3.4]:80",
                                      "[:80",
                                      "localhost:80"};
    struct place p;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (place_parse(bad[i], bad[i] + strlen(bad[i]), &p))
            fail_msg("%s", bad[i]);
    p = at("[fe80::1%eth0]:65535", false);
    assert_int_equal(p.port, 65535);
    assert_false(p.any);
    assert_true(at("0.0.0.0:1", false).any);
    assert_true(at("[::]:1", false).any);
}

static void test_address_of_a_call(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(81)};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct place p;

    (void)state;
    assert_true(place_of((void *)&in, sizeof(in), &p));
    assert_true(p.any && p.port == 80 && p.family == AF_INET);
    assert_true(place_of((void *)&in6, sizeof(in6), &p));
    assert_true(p.any && p.port == 81 && p.family == AF_INET6);
    assert_false(place_of((void *)&in, sizeof(in) - 1, &p));
    assert_false(place_of((void *)&in6, sizeof(in), &p));
    assert_false(place_of(&other, sizeof(other), &p));
    assert_false(place_of(NULL, 0, &p));
    assert_false(place_of((void *)&in, 1, &p));
}

static void test_same_or_any(void **state)
{
    (void)state;
    assert_int_equal(match("1.2.3.4:80", "1.2.3.4:80"), MATCH_EXACT);
    assert_int_equal(match("1.2.3.4:80", "1.2.3.4:81"), MATCH_NONE);
    assert_int_equal(match("1.2.3.4:80", "1.2.3.5:80"), MATCH_NONE);
    assert_int_equal(match("0.0.0.0:80", "1.2.3.4:80"), MATCH_LOOSE);
    assert_int_equal(match("1.2.3.4:80", "0.0.0.0:80"), MATCH_LOOSE);
    assert_int_equal(match("0.0.0.0:80", "0.0.0.0:80"), MATCH_EXACT);
    assert_int_equal(match("[::]:80", "0.0.0.0:80"), MATCH_LOOSE);
    assert_int_equal(match("[::]:80", "127.0.0.1:80"), MATCH_LOOSE);
    assert_int_equal(match("0.0.0.0:80", "[::]:80"), MATCH_LOOSE);
    assert_int_equal(match("[::1]:80", "[::1]:80"), MATCH_EXACT);
    assert_int_equal(match("[::1]:80", "[::]:80"), MATCH_LOOSE);
    assert_int_equal(match("[::]:80", "[::1]:80"), MATCH_LOOSE);
    assert_int_equal(match("0.0.0.0:80", "[::1]:80"), MATCH_NONE);
    assert_int_equal(match("[::1]:80", "0.0.0.0:80"), MATCH_NONE);
    assert_int_equal(match("[::1]:80", "127.0.0.1:80"), MATCH_NONE);
    assert_int_equal(match("127.0.0.1:80", "[::ffff:127.0.0.1]:80"), MATCH_EXACT);
}

static void test_v6only(void **state)
{
    struct place both = at("[::]:80", false), only = at("[::]:80", true), v4 = at("0.0.0.0:80", false);

    (void)state;
    assert_int_equal(place_match(&only, &only), MATCH_EXACT);
    assert_int_equal(place_match(&only, &v4), MATCH_NONE);
    assert_int_equal(place_match(&v4, &only), MATCH_NONE);
    assert_int_equal(place_match(&both, &only), MATCH_NONE);
    assert_int_equal(place_match(&only, &both), MATCH_LOOSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_address_of_a_call),
        cmocka_unit_test(test_same_or_any),
        cmocka_unit_test(test_v6only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
