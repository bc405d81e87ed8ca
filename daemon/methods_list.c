/* list and describe: written straight as text, for there may be a thousand records. */
#include "daemon/methods.h"
#include "daemon/record.h"
#include "daemon/selector.h"

/* What the last answer took: the next will take about as much, and growing a buffer of megabytes step by step
 * is dear. */
static size_t last_size[2];

void method_list(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    bool full = json_is_true(json_object_get(r->params, "full"));
    struct buf text = {0};
    struct jsonw w = jsonw_init(&text);
    struct process *p;

    buf_reserve(&text, last_size[full]);
    jsonw_arr_begin(&w);
    TAILQ_FOREACH (p, supervisor_processes(e->sup), entry) {
        record_write(e, &w, p, full ? RECORD_FULL : RECORD_SHORT);
    }
    jsonw_arr_end(&w);
    last_size[full] = text.len;
    rpc_reply_text(r, &text);
}

void method_describe(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    struct buf text = {0};
    struct jsonw w = jsonw_init(&text);
    struct selection sel;

    if (!method_select(e, r, &sel))
        return;
    jsonw_arr_begin(&w);
    for (size_t i = 0; i < sel.n; i++)
        record_write(e, &w, sel.v[i], RECORD_DESCRIBE);
    jsonw_arr_end(&w);
    selection_free(&sel);
    rpc_reply_text(r, &text);
}
