/* Events as lines for people. */
#include "unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/eventline.h"
#include "common/buf.h"

static void shows(const char *json, const char *want)
{
    json_t *event = json_loads(json, 0, NULL);
    struct buf b = {0};

    assert_non_null(event);
    eventline_append(&b, event, false);
    assert_string_equal(b.data, want);
    buf_free(&b);
    json_decref(event);
}

static void lines(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    shows("{\"time\":1767225600123,\"event\":\"start\",\"id\":3,\"name\":\"api\",\"run\":9,\"pid\":77,\"by\":"
          "\"pm start x\"}",
          "2026-01-01 00:00:00.123  api (3)           start              pid 77, run 9; by pm start x\n");
    shows("{\"time\":1767225600123,\"event\":\"online\",\"id\":3,\"name\":\"api\"}",
          "2026-01-01 00:00:00.123  api (3)           online\n");
    shows("{\"time\":1767225600123,\"event\":\"exit\",\"id\":3,\"name\":\"a-name-that-is-rather-long\","
          "\"text\":\"exited with "
          "code 7\"}",
          "2026-01-01 00:00:00.123  a-name-that-is-rather-long (3)  exit               exited with code 7\n");
    shows("{\"time\":1767225600123,\"event\":\"log trouble\",\"text\":\"the disk is full\"}",
          "2026-01-01 00:00:00.123  pm                log trouble        the disk is full\n");
}

/* What an app said reaches the terminal only in a harmless form. */
static void messages(void **state)
{
    (void)state;
    shows("{\"time\":0,\"event\":\"process:msg\",\"id\":0,\"name\":\"a\",\"type\":\"shop\",\"data\":{\"n\":["
          "1,null]}}",
          "1970-01-01 00:00:00.000  a (0)             process:msg        shop: {\"n\":[1,null]}\n");
    shows("{\"time\":0,\"event\":\"process:msg\",\"id\":0,\"name\":\"a\",\"type\":\"x\\n\\u0007y\",\"data\":"
          "\"\\u001b[2J\"}",
          "1970-01-01 00:00:00.000  a (0)             process:msg        x^J^Gy: \"\\u001B[2J\"\n");
    shows("{\"time\":0,\"event\":\"process:msg\",\"id\":0,\"name\":\"a\",\"raw\":\"{\\\"\"}",
          "1970-01-01 00:00:00.000  a (0)             process:msg        {\"\n");
    shows("{\"time\":0,\"event\":\"process:msg\",\"id\":0,\"name\":\"a\",\"too_long\":300000}",
          "1970-01-01 00:00:00.000  a (0)             process:msg        a message of 300000 bytes, too long "
          "to be shown\n");
    shows("{}", "1970-01-01 00:00:00.000  pm\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
