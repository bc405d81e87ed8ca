#include "daemon/log_grep.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"

/* About 10 ms for one line at the most; real patterns take less than a thousandth of it. */
#define MATCH_LIMIT    1000000u
#define DEPTH_LIMIT    100000u
#define HEAP_LIMIT_KIB 16384u
#define JIT_STACK_MIN  32768u
#define JIT_STACK_MAX  1048576u

struct pattern {
    pcre2_code *code;
    bool jit;
};

struct log_grep {
    struct pattern *v;
    size_t n;
    bool invert;
    bool prepared; /* by the thread that matches: the JIT compiler may take some ms */
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

static int compile(struct log_grep *g, const char *text, bool ignore_case, struct err *e)
{
    uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | (ignore_case ? PCRE2_CASELESS : 0);
    unsigned which = (unsigned)g->n + 1;
    size_t len = strlen(text);
    PCRE2_SIZE at = 0;
    int code = 0;

    if (len > LOG_GREP_PATTERN)
        return err_set(e, -EINVAL, "grep: pattern %u is longer than %u bytes", which, LOG_GREP_PATTERN);
    g->v[g->n].code = pcre2_compile((PCRE2_SPTR)text, len, options, &code, &at, NULL);
    if (!g->v[g->n].code) {
        PCRE2_UCHAR why[160] = "";

        pcre2_get_error_message(code, why, sizeof why);
        return err_set(e, -EINVAL, "grep: pattern %u, \"%.80s\": %s at position %zu", which, text,
                       (const char *)why, (size_t)at + 1);
    }
    g->n++;
    return 0;
}

struct log_grep *log_grep_new(const char *const *patterns, size_t n, bool ignore_case, bool invert,
                              struct err *e)
{
    struct log_grep *g = xcalloc(1, sizeof *g);
    int rc = 0;

    if (n > LOG_GREP_MAX)
        rc = err_set(e, -EINVAL, "grep: at most %u patterns, not %zu", LOG_GREP_MAX, n);
    g->invert = invert;
    g->v = xcalloc(n + 1, sizeof *g->v);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = compile(g, patterns[i], ignore_case, e);
    if (rc == 0)
        return g;
    log_grep_free(g);
    return NULL;
}

static int prepare(struct log_grep *g)
{
    g->context = pcre2_match_context_create(NULL);
    g->data = pcre2_match_data_create(1, NULL);
    if (!g->context || !g->data)
        return -ENOMEM;
    pcre2_set_match_limit(g->context, MATCH_LIMIT);
    pcre2_set_depth_limit(g->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(g->context, HEAP_LIMIT_KIB);
    g->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (g->stack)
        pcre2_jit_stack_assign(g->context, NULL, g->stack);
    for (size_t i = 0; i < g->n; i++)
        g->v[i].jit = g->stack && pcre2_jit_compile(g->v[i].code, PCRE2_JIT_COMPLETE) == 0;
    g->prepared = true;
    return 0;
}

static int match_one(struct log_grep *g, const struct pattern *p, const char *text, size_t len)
{
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;

    if (p->jit)
        rc = pcre2_jit_match(p->code, (PCRE2_SPTR)text, len, 0, 0, g->data, g->context);
    /* The interpreter has its own memory, up to the heap limit. */
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_JIT, g->data, g->context);
    return rc;
}

int log_grep_match(struct log_grep *g, const char *text, size_t len, struct err *e)
{
    bool all = true;

    if (!g->prepared && prepare(g) < 0)
        return err_set(e, -ENOMEM, "grep: out of memory");
    /* An empty blob is NULL in SQLite. */
    if (!text)
        text = "";
    for (size_t i = 0; i < g->n && all; i++) {
        int rc = match_one(g, &g->v[i], text, len);

        if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT)
            return err_set(e, -EOVERFLOW,
                           "grep: pattern %zu needs too much work for a line of %zu bytes: make it simpler "
                           "(nested repeats such as (a+)+ are the usual cause)",
                           i + 1, len);
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
            return err_set(e, -EINVAL, "grep: pattern %zu cannot be used (PCRE2 error %d)", i + 1, rc);
        all = rc >= 0;
    }
    return all != g->invert;
}

void log_grep_free(struct log_grep *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++)
        pcre2_code_free(g->v[i].code);
    pcre2_match_context_free(g->context);
    pcre2_match_data_free(g->data);
    pcre2_jit_stack_free(g->stack);
    free(g->v);
    free(g);
}
