#include "cli/dumpsend.h"

#include <string.h>

#include "cli/appsend.h"
#include "cli/jsonget.h"

size_t resurrected_print(const struct cli *c, const json_t *result)
{
    json_t *skipped;
    size_t i;

    json_array_foreach (json_object_get(result, "skipped"), i, skipped)
        if (json_is_string(skipped))
            out_say(&c->out, "left %s as it is: it is in the list already", json_string_value(skipped));
    if (*j_text(result, "note"))
        out_warn(&c->out, "%s", j_text(result, "note"));
    return json_array_size(json_object_get(result, "processes"));
}

/* {"spec", "processes"}; takes the spec. */
static json_t *app_with_processes(json_t *take_spec, const struct pm2_dump_app *a)
{
    json_t *processes = json_array();

    for (size_t i = 0; i < a->n; i++)
        json_array_append_new(processes,
                              json_pack("{s:i,s:b}", "instance", (int)a->v[i].instance, "up", a->v[i].up));
    return json_pack("{s:o,s:o}", "spec", take_spec, "processes", processes);
}

static size_t first_of_name(const struct app_list *apps, size_t at)
{
    size_t i = 0;

    while (strcmp(apps->v[i]->name, apps->v[at]->name) != 0)
        i++;
    return i;
}

/* A list for each name. */
static json_t *group(const struct pm2_dump *dump, json_t *specs)
{
    json_t *by_first = json_array(), *groups = json_array();

    for (size_t i = 0; i < dump->apps.n; i++) {
        size_t first = first_of_name(&dump->apps, i);
        json_t *of_name = json_array();

        json_array_append(by_first, of_name);
        if (first == i)
            json_array_append(groups, of_name);
        json_decref(of_name);
        json_array_append_new(json_array_get(by_first, first),
                              app_with_processes(json_incref(json_array_get(specs, i)), &dump->processes[i]));
    }
    json_decref(by_first);
    return groups;
}

static json_t *flatten(const json_t *groups)
{
    json_t *all = json_array(), *one;
    size_t i;

    json_array_foreach (groups, i, one)
        json_array_extend(all, one);
    return all;
}

static const char *name_of_group(const json_t *g)
{
    return j_text(json_object_get(json_array_get(g, 0), "spec"), "name");
}

int dumpsend(struct action *t, const struct pm2_dump *dump, size_t *n)
{
    struct cli *c = t->c;
    json_t *base, *specs = appsend_pack(&dump->apps, &base), *groups = group(dump, specs);
    int worst = appsend_base(c, base);
    bool connected = worst == EXIT_DONE;

    while (connected && json_array_size(groups) > 0 && !action_interrupted(t)) {
        size_t too_large;
        json_t *chunk = appsend_chunk(groups, APPSEND_MAX, &too_large), *result = NULL;
        int code;

        if (!chunk) {
            worst = out_error(&c->out, "app %s is too large for a request: %zu bytes, limit %u",
                              name_of_group(json_array_get(groups, 0)), too_large, APPSEND_MAX);
            json_array_remove(groups, 0);
            continue;
        }
        code = action_call(t, "resurrect", json_pack("{s:o}", "apps", flatten(chunk)), "started", &result);
        json_decref(chunk);
        *n += resurrected_print(c, result);
        json_decref(result);
        if (code > worst)
            worst = code;
    }
    json_decref(groups);
    json_decref(specs);
    json_decref(base);
    return worst;
}
