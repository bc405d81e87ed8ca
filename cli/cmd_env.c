#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/session.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "NAME: value" lines in order. To a program the values go as they are, to a terminal made harmless. */
static void print_env(const struct cli *c, const json_t *env)
{
    const char **names = xcalloc(json_object_size(env) + 1, sizeof(*names)), *key;
    struct buf b = {0};
    json_t *value;
    size_t n = 0;

    json_object_foreach ((json_t *)env, key, value)
        names[n++] = key;
    qsort(names, n, sizeof(*names), by_text);
    for (size_t i = 0; i < n; i++) {
        const char *text = j_text(env, names[i]);

        buf_printf(&b, "%s%s:%s ", color_on(c->out.color, COLOR_DIM), names[i],
                   color_off(c->out.color, COLOR_DIM));
        if (c->out.tty)
            text_clean(&b, text, strlen(text), TEXT_PLAIN);
        else
            buf_puts(&b, text);
        buf_putc(&b, '\n');
    }
    out_data(&b);
    buf_free(&b);
    free(names);
}

int cmd_env(struct cli *c, const struct args *a)
{
    json_t *result = NULL;
    int code = session_call(c, "process.env", json_pack("{s:s}", "selector", a->words[0]), &result);

    if (code == EXIT_DONE && args_has(a, "json")) {
        json_dumpf(json_object_get(result, "env"), stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == EXIT_DONE) {
        print_env(c, json_object_get(result, "env"));
    }
    json_decref(result);
    return code;
}
