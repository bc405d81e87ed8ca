/*
 * Configs that are JavaScript: node evaluates them in a child of this process and prints what they export as
 * JSON. Private to config/.
 */
#ifndef PM_CONFIG_JS_EVAL_H
#define PM_CONFIG_JS_EVAL_H

#include <stddef.h>

#include "common/buf.h"

#define JS_LIMIT_MS 10000

struct js_input {
    const char *path;     /* absolute; of the file, or the name that a text has in messages */
    const char *folder;   /* the child's working folder */
    char *const *environ; /* the child's environment; node is looked up on its PATH */
    const char *text;     /* NULL: node loads the file itself */
    size_t len;
    int limit_ms; /* after that the child is killed; 0 = JS_LIMIT_MS */
};

enum js_outcome {
    JS_VALUE,
    JS_THREW,
    JS_SYNTAX, /* a text that is no JavaScript */
    JS_TROUBLE /* node is missing, was killed, took too long, printed too much */
};

struct js_result {
    struct buf json;    /* JS_VALUE */
    char *msg;          /* else: one line */
    unsigned line, col; /* where in the config; 0 = not known */
};

/* Blocks up to the time limit. The result is for js_result_deinit in any case. */
enum js_outcome js_eval(const struct js_input *in, struct js_result *out);
void js_result_deinit(struct js_result *r);

#endif
