/* Which level a line says it has. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "daemon/log_level.h"

struct sample {
    const char *text;
    enum log_level level;
};

/* From memory of exactly the line's size, so that a sanitizer sees a read beyond it. */
static enum log_level level_of(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    enum log_level level;

    assert_non_null(copy);
    memcpy(copy, text, len);
    level = log_level_of(copy, len);
    free(copy);
    return level;
}

static void check(const struct sample *samples, size_t n)
{
    bool bad = false;

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(samples[i].text);
        enum log_level got = level_of(samples[i].text, len);

        if (got != samples[i].level) {
            print_error("%s\n  is %d, not %d\n", samples[i].text, (int)got, (int)samples[i].level);
            bad = true;
        }
        for (size_t cut = 0; cut < len; cut++)
            level_of(samples[i].text, cut);
    }
    assert_false(bad);
}

#define NONE  LOG_LEVEL_NONE
#define TRACE LOG_LEVEL_TRACE
#define DEBUG LOG_LEVEL_DEBUG
#define INFO  LOG_LEVEL_INFO
#define WARN  LOG_LEVEL_WARN
#define ERR   LOG_LEVEL_ERROR
#define FATAL LOG_LEVEL_FATAL

static void test_json(void **state)
{
    static const struct sample samples[] = {
        {"{\"level\":10,\"time\":1772370309042,\"pid\":1,\"hostname\":\"h\",\"msg\":\"x\"}", TRACE},
        {"{\"level\":20,\"msg\":\"x\"}", DEBUG},
        {"{\"level\":30,\"time\":1,\"msg\":\"x\"}", INFO},
        {"{\"level\":35,\"msg\":\"x\"}", INFO},
        {"{\"level\":40}", WARN},
        {"{\"name\":\"app\",\"hostname\":\"h\",\"pid\":1,\"level\":50,\"msg\":\"x\",\"v\":0}", ERR},
        {"{\"level\":60}", FATAL},
        {"{\"level\":\"30\"}", INFO},
        {"{\"message\":\"level: error\",\"level\":\"info\"}", INFO},
        {"  {\"msg\" : \"x\", \"Level\" : \"WARN\"}", WARN},
        {"{\"severity\":\"CRITICAL\",\"message\":\"x\"}", FATAL},
        {"{\"lvl\":\"dbug\"}", DEBUG},
        {"{\"asctime\":\"now\",\"levelname\":\"WARNING\"}", WARN},
        {"{\"@t\":\"x\",\"@l\":\"Error\"}", ERR},
        {"{\"log.level\":\"error\"}", ERR},
        {"{\"level\":\"\\u001b[31merror\\u001b[39m\",\"message\":\"x\"}", ERR},
        {"{\"http\":{\"level\":\"error\",\"a\":[{\"level\":50}]},\"level\":\"debug\"}", DEBUG},
        {"{\"a\":[\"level\",\"error\"],\"msg\":\"x\"}", NONE},
        {"{\"msg\":\"\\\"level\\\":\\\"error\\\"\"}", NONE},
        {"{\"msg\":\"c:\\\\\",\"level\":\"error\"}", ERR},
        {"{\"err\":{\"level\":\"error\"}}", NONE},
        {"{\"level\":3}", NONE},
        {"{\"level\":30.5}", NONE},
        {"{\"level\":3000000}", NONE},
        {"{\"level\":null,\"severity\":\"info\"}", INFO},
        {"{\"level\":\"strange\"}", NONE},
        {"{\"level\":\"error_count\"}", NONE},
        {"{\"level\":{\"x\":1}}", NONE},
        {"{\"level\"", NONE},
        {"{\"level\":", NONE},
        {"{\"level\":\"err", NONE},
        {"{}", NONE},
        {"{", NONE},
        {"{ not json, level: error }", NONE},
    };

    (void)state;
    check(samples, ARRAY_LEN(samples));
}

static void test_logfmt(void **state)
{
    static const struct sample samples[] = {
        {"level=error msg=\"x\"", ERR},
        {"time=\"2026-01-02T10:00:00Z\" level=warning msg=\"no error\"", WARN},
        {"ts=2026-01-02T10:00:00Z caller=main.go:10 level=info msg=x", INFO},
        {"time=2026-01-02T10:00:00.000Z level=ERROR msg=x", ERR},
        {"msg=\"set level=debug\" lvl=warn", WARN},
        {"msg=\"level=debug", NONE},
        {"severity=\"critical\"", FATAL},
        {"2026-01-02T10:00:00Z app started level=info", INFO},
        {"level=", NONE},
        {"a=b", NONE},
        {"the level=error was set", NONE},
        {"mylevel=error", NONE},
        {"level=errors", NONE},
    };

    (void)state;
    check(samples, ARRAY_LEN(samples));
}

static void test_loggers(void **state)
{
    static const struct sample samples[] = {
        {"[ERROR] cannot", ERR},
        {"ERROR: cannot", ERR},
        {"ERROR cannot", ERR},
        {"ERROR", ERR},
        {"error - cannot", ERR},
        {"info  - Loaded env", INFO},
        {"error: cannot", ERR},
        {"warn: careful", WARN},
        {"[warn] careful", WARN},
        {"[ info ] x", INFO},
        {"\033[31merror\033[39m: cannot", ERR},
        {"\033[32m[INFO]\033[0m x", INFO},
        {"[\033[32minfo\033[39m] x", INFO},
        {"W0102 10:00:00.000000       1 reflector.go:1] x", WARN},
        {"I20260102 10:00:00.000000 1 main.cc:1] x", INFO},
        {"<3>kernel", ERR},
        {"<134>1 2026-01-02T10:00:00Z h app - - - x", INFO},
        {"<html>", NONE},
        {"2026-01-02 10:00:00,123 WARN  [main] c.e.App - x", WARN},
        {"2026-01-02 10:00:00,123 - my.app - ERROR - x", ERR},
        {"2026-01-02 10:00:00.123  INFO 1234 --- [main] c.e.App : x", INFO},
        {"10:00:00.123 [main] DEBUG c.e.App - x", DEBUG},
        {"2026-01-02T10:00:00.000Z\tinfo\tmain.go:1\tx", INFO},
        {"2026-01-02T10:00:00.000000Z  WARN app: x", WARN},
        {"[2026-01-02T10:00:00Z ERROR app] x", ERR},
        {"[2026-01-02T10:00:00.000] [ERROR] default - x", ERR},
        {"2026-01-02T10:00:00Z error: x", ERR},
        {"2026-01-02T10:00:00Z [info] x", INFO},
        {"2026/01/02 10:00:00 [error] 123#0: *1 open() failed", ERR},
        {"[Fri Jan 02 10:00:00 2026] [core:error] [pid 1] x", ERR},
        {"2026-01-02 10:00:00.000 UTC [123] user@db ERROR:  x", ERR},
        {"2026-01-02 10:00:00.000 UTC [123] LOG:  x", INFO},
        {"[Nest] 123  - 01/02/2026, 10:00:00 AM   ERROR [Context] x", ERR},
        {"[Nest] 123  - 01/02/2026, 10:00:00 AM     LOG [Context] x", INFO},
        {"2026-01-02T10:00:00.000000Z 0 [Warning] [MY-010068] [Server] x", WARN},
        {"[2026-01-02 10:00:00] local.ERROR: x", ERR},
        {"[10:00:00 INF] x", INFO},
        {"[10:00:00.123] INFO (123): x", INFO},
        {"10:00AM INF x", INFO},
        {"info: Category[0]", INFO},
        {"fail: Category[0]", ERR},
        {"ERRO[0000] x", ERR},
        {"E, [2026-01-02T10:00:00.123456 #123] ERROR -- : x", ERR},
        {"INFO:     Started server process [1]", INFO},
        {"ERROR:root:x", ERR},
        {"[2026-01-02 10:00:00 +0000] [123] [INFO] x", INFO},
        {"[2026-01-02 10:00:00,123: WARNING/MainProcess] x", WARN},
        {"Jan  2 10:00:00 host app[1]: ERROR x", ERR},
        {"FAIL src/a.test.js", ERR},
    };

    (void)state;
    check(samples, ARRAY_LEN(samples));
}

static void test_runtimes(void **state)
{
    static const struct sample samples[] = {
        {"npm ERR! code 1", ERR},
        {"npm warn deprecated x", WARN},
        {"(node:123) Warning: x", WARN},
        {"(node:123) [DEP0005] DeprecationWarning: x", WARN},
        {"(node:123) UnhandledPromiseRejectionWarning: Error: x", WARN},
        {"(Use `node --trace-warnings ...` to show where)", NONE},
        {"Error: x", ERR},
        {"    TypeError: x", ERR},
        {"TypeError [ERR_INVALID_ARG_TYPE]: x", ERR},
        {"java.lang.IllegalStateException: x", ERR},
        {"Exception in thread \"main\" x", ERR},
        {"Uncaught Error: x", ERR},
        {"Traceback (most recent call last):", ERR},
        {"ValueError: x", ERR},
        {"DeprecationWarning: x", WARN},
        {"panic: x", FATAL},
        {"thread 'main' panicked at src/main.rs:1:1:", FATAL},
        {"thread 'main' (123) panicked at src/main.rs:1:1:", FATAL},
        {"fatal error: x", FATAL},
        {"FATAL ERROR: Reached heap limit", FATAL},
        {"fatal: not a git repository", FATAL},
        {"error[E0308]: mismatched types", ERR},
        {"PHP Fatal error:  x", FATAL},
    };

    (void)state;
    check(samples, ARRAY_LEN(samples));
}

static void test_prose(void **state)
{
    static const struct sample samples[] = {
        {"", NONE},
        {" ", NONE},
        {"no error here", NONE},
        {"information", NONE},
        {"information: see below", NONE},
        {"Information about errors", NONE},
        {"error handling is on", NONE},
        {"Error handling is on", NONE},
        {"errors: 0", NONE},
        {"ERROR_COUNT is 0", NONE},
        {"warned 3 times", NONE},
        {"log: x", NONE},
        {"fine: x", NONE},
        {"alert the press", NONE},
        {"info", NONE},
        {"debugger listening on ws://127.0.0.1", NONE},
        {"fatality", NONE},
        {"3 errors", NONE},
        {"3 error responses", NONE},
        {"[no error]", NONE},
        {"[error handling] on", NONE},
        {"[x", NONE},
        {"127.0.0.1 - - [02/Jan/2026:10:00:00 +0000] \"GET /ERROR?level=error HTTP/1.1\" 200", NONE},
        {"listening on 0.0.0.0:3000", NONE},
        {"2026-01-02 10:00:00 listening, no error so far", NONE},
        {"2026-01-02 10:00:00 connection had an ERROR", NONE},
        {"    at Object.<anonymous> (/x/error.js:1:1)", NONE},
        {"E0102", NONE},
        {"E0102 1", NONE},
        {"<", NONE},
        {"<3", NONE},
        {"<999>", NONE},
        {"(node:", NONE},
        {"\033[31m", NONE},
        {"\033", NONE},
    };

    (void)state;
    check(samples, ARRAY_LEN(samples));
}

/* Beyond 4 KiB nothing is looked at; a hostile line costs no more than a long one. */
static void test_bounds(void **state)
{
    enum { SIZE = 65536 };
    static const char *const parts[] = {"{\"", "\\\"", "[[[[", "{{{{",  "==",   "a=\"", "level=",
                                        "E, ", "[] ",  "1 ",   "\033[", "\\\\", "\0x",  "\xff\xfe"};
    char *text = malloc(SIZE);
    int at = snprintf(text, SIZE, "{\"a\":\"");

    (void)state;
    memset(text + at, 'x', SIZE - (size_t)at);
    snprintf(text + 5000, 40, "\",\"level\":\"error\"}");
    assert_int_equal(log_level_of(text, 5040), LOG_LEVEL_NONE);
    memcpy(text + 3000, "\",\"level\":\"error\"}", 18);
    assert_int_equal(log_level_of(text, SIZE), LOG_LEVEL_ERROR);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t n = strlen(parts[i]) ? strlen(parts[i]) : 2;

        for (size_t to = 0; to + n <= SIZE; to += n)
            memcpy(text + to, parts[i], n);
        log_level_of(text, SIZE);
        memcpy(text, "{\"", 2);
        log_level_of(text, SIZE);
    }
    free(text);
}

static void test_random(void **state)
{
    static const char *const pieces[] = {"ERROR",    "error", ":",     " ",  "[",          "]",        "\"",
                                         "{",        "}",     "level", "=",  "2026-01-02", "10:00:00", "\\",
                                         "\033[31m", "x",     "-",     "\t", "50"};
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t len = 0, n = (size_t)rand_r(&seed) % 12;

        for (size_t i = 0; i < n; i++) {
            const char *p = pieces[(size_t)rand_r(&seed) % ARRAY_LEN(pieces)];

            memcpy(text + len, p, strlen(p));
            len += strlen(p);
        }
        level_of(text, len);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(log_level_word(LOG_LEVEL_WARN), "warn");
    assert_null(log_level_word(LOG_LEVEL_NONE));
    assert_int_equal(log_level_parse("Warning", 7), LOG_LEVEL_WARN);
    assert_int_equal(log_level_parse("loud", 4), LOG_LEVEL_NONE);
    assert_int_equal(log_level_parse("", 0), LOG_LEVEL_NONE);
    for (int i = LOG_LEVEL_TRACE; i <= LOG_LEVEL_FATAL; i++) {
        const char *word = log_level_word((enum log_level)i);

        assert_int_equal(log_level_parse(word, strlen(word)), i);
        assert_int_equal(log_level_in(log_level_flags((enum log_level)i) | 0x7), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),     cmocka_unit_test(test_logfmt), cmocka_unit_test(test_loggers),
        cmocka_unit_test(test_runtimes), cmocka_unit_test(test_prose),  cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_random),   cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
