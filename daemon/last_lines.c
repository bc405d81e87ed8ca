#include "daemon/last_lines.h"

#include "common/mem.h"
#include "daemon/logs.h"

struct last_lines {
    json_t *entry; /* borrowed */
    void (*done)(void *arg);
    void *arg;
};

static void on_lines(void *arg, int rc, const struct log_line *lines, size_t n)
{
    struct last_lines *l = arg;
    json_t *array = json_array();

    for (size_t i = 0; rc == 0 && i < n; i++) {
        json_t *text = json_stringn(lines[i].text, lines[i].len);

        json_array_append_new(array, text ? text : json_string("(not UTF-8)"));
    }
    json_object_set_new(l->entry, "stderr", array);
    l->done(l->arg);
    free(l);
}

void last_lines_add(struct logs *logs, uint64_t run, unsigned lines, json_t *entry, void (*done)(void *arg),
                    void *arg)
{
    struct last_lines *l = xcalloc(1, sizeof(*l));
    const struct log_query q = {.run = run, .err = true, .lines = lines};

    *l = (struct last_lines){entry, done, arg};
    logs_query(logs, &q, on_lines, l);
}
