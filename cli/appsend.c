#include "cli/appsend.h"

#include "cli/jsonget.h"
#include "cli/session.h"
#include "common/mem.h"

/* Removes from `o` what the other object does (`same`) or does not (!same) have with the same value. */
static void remove_by(json_t *o, const json_t *other, bool same)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(o, next, key, value)
    {
        const json_t *theirs = json_object_get(other, key);

        if ((theirs && json_equal(value, theirs)) == same)
            json_object_del(o, key);
    }
}

json_t *appsend_pack(const struct app_list *apps, json_t **base)
{
    json_t *all = json_array(), *app;
    size_t i;

    *base = NULL;
    for (i = 0; i < apps->n; i++) {
        app = app_spec_to_json(apps->v[i]);
        if (apps->v[i]->instances_given) /* also when it is the default: the daemon scales to it */
            json_object_set_new(app, "instances", json_integer(apps->v[i]->instances));
        if (!*base)
            *base = json_deep_copy(json_object_get(app, "env"));
        else
            remove_by(*base, json_object_get(app, "env"), false);
        json_array_append_new(all, app);
    }
    if (!*base)
        *base = json_object();
    json_array_foreach (all, i, app)
        remove_by(json_object_get(app, "env"), *base, true);
    return all;
}

json_t *appsend_chunk(json_t *all, size_t max, size_t *too_large)
{
    json_t *chunk = json_array();
    size_t sum = 0;

    *too_large = 0;
    while (json_array_size(all) > 0) {
        json_t *first = json_array_get(all, 0);
        size_t size = json_dumpb(first, NULL, 0, JSON_COMPACT) + 1;

        if (sum + size > max) {
            *too_large = sum ? 0 : size;
            break;
        }
        sum += size;
        json_array_append(chunk, first);
        json_array_remove(all, 0);
    }
    if (json_array_size(chunk) > 0)
        return chunk;
    json_decref(chunk);
    return NULL;
}

int appsend_base(struct cli *c, const json_t *base)
{
    size_t size = json_dumpb(base, NULL, 0, JSON_COMPACT);
    json_t *result = NULL;
    int code;

    if (size > APPSEND_MAX)
        return out_error(&c->out,
                         "the environment of this shell is too large for a request: %zu bytes, limit %u",
                         size, APPSEND_MAX);
    code = session_call(c, "env.set", json_pack("{s:O}", "env", (json_t *)base), &result);
    json_decref(result);
    return code;
}

/* Sends all chunks; a failed one does not keep the others back. */
static int send_chunks(struct action *t, json_t *all, const struct appsend_how *how)
{
    int worst = EXIT_DONE;

    while (json_array_size(all) > 0 && !action_interrupted(t)) {
        size_t too_large;
        json_t *chunk = appsend_chunk(all, APPSEND_MAX, &too_large), *params;
        int code;

        if (!chunk) {
            worst = out_error(&t->c->out, "app %s is too large for a request: %zu bytes, limit %u",
                              j_text(json_array_get(all, 0), "name"), too_large, APPSEND_MAX);
            json_array_remove(all, 0);
            continue;
        }
        params = json_pack("{s:o}", "apps", chunk);
        if (how->when_known)
            json_object_set_new(params, how->when_known, json_true());
        if (how->force)
            json_object_set_new(params, "force", json_true());
        code = action_call(t, "start", params, how->done, NULL);
        if (code > worst)
            worst = code;
    }
    return worst;
}

int appsend_start(struct action *t, const struct app_list *apps, const struct appsend_how *how)
{
    json_t *base;
    json_t *all = appsend_pack(apps, &base);
    int code = appsend_base(t->c, base);

    if (code == 0)
        code = send_chunks(t, all, how);
    json_decref(all);
    json_decref(base);
    return code;
}
