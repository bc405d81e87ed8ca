/* Settings: short texts under names, which commands and later parts of the daemon look up. */
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/methods.h"
#include "daemon/settings.h"

#define KEY_MAX      256
#define VALUE_MAX    65536
#define SETTINGS_MAX 1000

/* "a.b" and "a:b" are one key. NULL: answered. */
static char *read_key(struct rpc_request *r)
{
    const char *text = json_string_value(json_object_get(r->params, "key"));
    char *key;

    if (!*text || strlen(text) > KEY_MAX) {
        rpc_fail(r, RPC_BAD_PARAMS, "a setting's key has 1 to %d bytes", KEY_MAX);
        return NULL;
    }
    key = xstrdup(text);
    for (char *p = key; *p; p++)
        if (*p == '.')
            *p = ':';
    return key;
}

struct setting_change {
    struct rpc_request *request;
    char *key;
};

static void on_stored(void *arg, int rc, const char *msg)
{
    struct setting_change *c = arg;

    if (rc < 0)
        rpc_fail(c->request, RPC_NOT_SAVED, "done, but not saved: %s; it is tried again", msg);
    else
        rpc_reply(c->request, json_pack("{s:s}", "key", c->key));
    free(c->key);
    free(c);
}

static void answer_when_stored(struct engine *e, struct rpc_request *r, char *take_key)
{
    struct setting_change *c = xcalloc(1, sizeof(*c));

    *c = (struct setting_change){r, take_key};
    store_commit(e->store, on_stored, c);
}

void method_settings_get(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    json_t *value;

    if (!json_object_get(r->params, "key")) {
        rpc_reply(r, json_pack("{s:O}", "settings", e->settings));
        return;
    }
    _cleanup_free_ char *key = read_key(r);
    if (!key)
        return;
    value = json_object_get(e->settings, key);
    if (value)
        rpc_reply(r, json_pack("{s:s,s:O}", "key", key, "value", value));
    else
        rpc_fail(r, RPC_NO_MATCH, "there is no setting \"%s\"", key);
}

void method_settings_set(void *engine, struct rpc_request *r)
{
    json_t *value = json_object_get(r->params, "value");
    struct engine *e = engine;
    char *key = read_key(r);
    struct err err = {0};

    if (!key)
        return;
    if (settings_check(key, json_string_value(value), &err) < 0) {
        rpc_fail(r, RPC_BAD_PARAMS, "%s", err.msg);
    } else if (json_string_length(value) > VALUE_MAX) {
        rpc_fail(r, RPC_BAD_PARAMS, "a setting's value has at most %d bytes", VALUE_MAX);
    } else if (!json_object_get(e->settings, key) && json_object_size(e->settings) >= SETTINGS_MAX) {
        rpc_fail(r, RPC_FAILED, "there are %d settings already; remove some first", SETTINGS_MAX);
    } else {
        json_object_set(e->settings, key, value);
        store_put_setting(e->store, key, json_string_value(value));
        settings_apply(e, key);
        answer_when_stored(e, r, key);
        return;
    }
    free(key);
}

void method_settings_unset(void *engine, struct rpc_request *r)
{
    struct engine *e = engine;
    char *key = read_key(r);

    if (!key)
        return;
    if (json_object_del(e->settings, key) < 0) {
        rpc_fail(r, RPC_NO_MATCH, "there is no setting \"%s\"", key);
        free(key);
        return;
    }
    store_put_setting(e->store, key, NULL);
    settings_apply(e, key);
    answer_when_stored(e, r, key);
}
