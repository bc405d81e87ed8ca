#include "daemon/saved.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/plog.h"
#include "daemon/settings.h"

#define SAVED_VERSION 1

static const char *const slot_keys[2] = {"last", "before"};

void saved_load(struct engine *e, const struct store_image *image)
{
    for (size_t i = 0; i < image->n_saved; i++)
        for (size_t slot = 0; slot < ARRAY_LEN(slot_keys); slot++)
            if (strcmp(image->saved[i].key, slot_keys[slot]) == 0 && !e->saved[slot])
                e->saved[slot] = xstrdup(image->saved[i].value);
    e->settings = json_object();
    for (size_t i = 0; i < image->n_settings; i++)
        json_object_set_new(e->settings, image->settings[i].key, json_string(image->settings[i].value));
    settings_apply(e, NULL);
    e->forgotten = image->ended == STORE_FORGOTTEN;
}

void saved_free(struct engine *e)
{
    for (size_t slot = 0; slot < ARRAY_LEN(slot_keys); slot++) {
        free(e->saved[slot]);
        e->saved[slot] = NULL;
    }
    json_decref(e->settings);
    e->settings = NULL;
}

static void put_slots(struct engine *e)
{
    for (size_t slot = 0; slot < ARRAY_LEN(slot_keys); slot++)
        store_put_saved(e->store, slot_keys[slot], e->saved[slot]);
}

void saved_put_all(struct engine *e)
{
    const char *key;
    json_t *value;

    put_slots(e);
    json_object_foreach (e->settings, key, value)
        store_put_setting(e->store, key, json_string_value(value));
    if (e->forgotten)
        store_set_ended(e->store, STORE_FORGOTTEN);
}

/* ---- text to list ---- */

void saved_list_free(struct saved_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        app_spec_free(l->apps[i].spec);
        free(l->apps[i].processes);
    }
    free(l->apps);
    *l = (struct saved_list){0};
}

static int read_app(const json_t *j, struct saved_app *a, struct err *err)
{
    const json_t *processes = json_object_get(j, "processes");
    size_t i;
    json_t *p;

    a->spec = app_spec_from_json(json_object_get(j, "spec"), err);
    if (!a->spec)
        return -EBADMSG;
    if (!json_is_array(processes))
        return err_set(err, -EBADMSG, "%s has no processes", a->spec->name);
    a->processes = xcalloc(json_array_size(processes) + 1, sizeof(*a->processes));
    json_array_foreach (processes, i, p) {
        json_int_t instance = json_integer_value(json_object_get(p, "instance"));

        if (!json_is_boolean(json_object_get(p, "up")) || instance < 0 || instance > INT32_MAX)
            return err_set(err, -EBADMSG, "process %zu of %s cannot be read", i, a->spec->name);
        a->processes[a->n++] =
            (struct saved_process){(uint32_t)instance, json_is_true(json_object_get(p, "up"))};
    }
    if (a->spec->instances < 1) /* a client's list: how many there are is told by the processes */
        a->spec->instances = a->n ? (int64_t)a->n : 1;
    return 0;
}

int saved_list_from_json(const json_t *apps, struct saved_list *out, struct err *err)
{
    int rc = 0;

    *out = (struct saved_list){.apps = xcalloc(json_array_size(apps) + 1, sizeof(*out->apps))};
    for (size_t i = 0; rc == 0 && i < json_array_size(apps); i++, out->n++)
        rc = read_app(json_array_get(apps, i), &out->apps[i], err);
    if (rc < 0)
        saved_list_free(out);
    return rc;
}

static int read_list(const char *text, struct saved_list *out, struct err *err)
{
    json_t *j = json_loads(text, JSON_ALLOW_NUL, NULL);
    const json_t *apps = json_object_get(j, "apps");
    int rc = 0;

    *out = (struct saved_list){0};
    if (!json_is_array(apps)) {
        rc = err_set(err, -EBADMSG, "it is not a list");
    } else if (json_integer_value(json_object_get(j, "version")) > SAVED_VERSION) {
        rc = err_set(err, -EBADMSG, "it is of a newer version");
    } else {
        rc = saved_list_from_json(apps, out, err);
    }
    json_decref(j);
    return rc;
}

int saved_read(struct engine *e, struct saved_list *out, char *note, size_t cap, struct err *err)
{
    struct err why[2];
    int rc;

    note[0] = '\0';
    if (!e->saved[0] && !e->saved[1])
        return err_set(err, -ENOENT, "there is no saved list; pm save makes one");
    snprintf(why[0].msg, sizeof(why[0].msg), "it is missing");
    rc = e->saved[0] ? read_list(e->saved[0], out, &why[0]) : -EBADMSG;
    if (rc == 0)
        return 0;
    if (!e->saved[1])
        return err_set(err, rc, "the saved list is damaged (%.200s), and there is none before it",
                       why[0].msg);
    rc = read_list(e->saved[1], out, &why[1]);
    if (rc < 0)
        return err_set(err, rc, "the saved list is damaged (%.100s), and the one before as well (%.100s)",
                       why[0].msg, why[1].msg);
    snprintf(note, cap, "the saved list is damaged (%.200s); the one before it was taken", why[0].msg);
    return 0;
}

/* ---- list to text ---- */

static json_t *app_to_json(const struct app *a, size_t *n)
{
    json_t *processes = json_array();
    const struct process *p;

    TAILQ_FOREACH (p, &a->processes, app_entry) {
        if (p->delete_when_down)
            continue;
        json_array_append_new(processes, json_pack("{s:i,s:b}", "instance", (int)p->instance, "up",
                                                   p->desired == DESIRED_UP || p->state == LC_ERRORED));
    }
    *n += json_array_size(processes);
    if (json_array_size(processes) == 0) {
        json_decref(processes);
        return NULL;
    }
    return json_pack("{s:o,s:o}", "spec", app_spec_to_json(a->spec), "processes", processes);
}

size_t saved_store(struct engine *e)
{
    json_t *apps = json_array(), *j;
    struct saved_list old;
    const struct app *a;
    struct err err;
    size_t n = 0;

    TAILQ_FOREACH (a, supervisor_apps(e->sup), entry) {
        j = app_to_json(a, &n);
        if (j)
            json_array_append_new(apps, j);
    }
    /* A damaged list must not take the place of the good one before it. */
    if (e->saved[0] && read_list(e->saved[0], &old, &err) == 0) {
        saved_list_free(&old);
        free(e->saved[1]);
        e->saved[1] = e->saved[0];
    } else {
        free(e->saved[0]);
    }
    j = json_pack("{s:i,s:I,s:o}", "version", SAVED_VERSION, "saved_at", (json_int_t)clock_wall_ms(), "apps",
                  apps);
    e->saved[0] = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    put_slots(e);
    return n;
}

void saved_clear(struct engine *e)
{
    for (size_t slot = 0; slot < ARRAY_LEN(slot_keys); slot++) {
        free(e->saved[slot]);
        e->saved[slot] = NULL;
    }
    put_slots(e);
}
