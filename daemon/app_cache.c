#include "daemon/app_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct app_cache {
    uint64_t version;
    char *spec;
    size_t spec_len;
    struct buf text[APP_TEXT_COUNT];
};

static struct app_cache *cache_of(struct app *a)
{
    static uint64_t last_version;
    struct app_cache *c = a->cache;

    if (!c) {
        c = xcalloc(1, sizeof(*c));
        c->version = ++last_version;
        a->cache = c;
    }
    return c;
}

uint64_t app_cache_version(struct app *a)
{
    return cache_of(a)->version;
}

const char *app_spec_text(struct app *a, size_t *len)
{
    struct app_cache *c = cache_of(a);

    if (!c->spec) {
        json_t *j = app_spec_to_json(a->spec);

        c->spec = json_dumps(j, JSON_COMPACT);
        if (!c->spec)
            c->spec = xstrdup("null");
        c->spec_len = strlen(c->spec);
        json_decref(j);
    }
    *len = c->spec_len;
    return c->spec;
}

void app_text_write(struct app *a, enum app_text which, struct jsonw *w,
                    void (*make)(struct jsonw *w, const struct app_spec *s))
{
    struct buf *text = &cache_of(a)->text[which];

    if (!text->data) {
        struct jsonw part = jsonw_init(text);

        buf_reserve(text, 0);
        make(&part, a->spec);
    }
    if (!text->len)
        return;
    if (w->comma)
        buf_putc(w->out, ',');
    buf_append(w->out, text->data, text->len);
    w->comma = true;
}

void app_cache_drop(struct app *a)
{
    struct app_cache *c = a->cache;

    if (!c)
        return;
    free(c->spec);
    for (int i = 0; i < APP_TEXT_COUNT; i++)
        buf_free(&c->text[i]);
    free(c);
    a->cache = NULL;
}
