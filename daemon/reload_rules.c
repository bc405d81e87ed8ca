/*
 * Two processes of one app can only serve side by side when the daemon has the sockets: those of a Node
 * cluster, or of "listen". Any other app binds its own, and the second one would find the address in use.
 */
#include "daemon/reload_rules.h"

#include <stdio.h>
#include <string.h>

#include "config/options.h"

static bool shares_sockets(const struct app_spec *s)
{
    return strcmp(s->exec_mode, "cluster") == 0 || s->listen.n > 0;
}

static bool differs(const struct app_spec *a, const struct app_spec *b, const struct option_row *o)
{
    json_t *x = app_spec_key_to_json(a, o), *y = app_spec_key_to_json(b, o);
    bool same = (!x && !y) || (x && y && json_equal(x, y));

    json_decref(x);
    json_decref(y);
    return !same;
}

/* A key whose new value the old process must be gone for; NULL when there is none. */
static const char *changed_key(const struct app_spec *has, const struct app_spec *will)
{
    size_t n;
    const struct option_row *rows = options(&n);

    for (size_t i = 0; i < n; i++)
        if (rows[i].needs == NEEDS_RESTART && rows[i].store != STORE_NONE && !rows[i].local &&
            differs(has, will, &rows[i]))
            return rows[i].name;
    return NULL;
}

bool reload_is_gapless(const struct app_spec *has, const struct app_spec *will, char *why, size_t size)
{
    const char *key = will == has ? NULL : changed_key(has, will);

    if (!shares_sockets(has) && strcmp(will->exec_mode, has->exec_mode) == 0) {
        snprintf(why, size, "restarted: a fork app without \"listen\" cannot be reloaded without a gap");
        return false;
    }
    if (key) {
        snprintf(why, size, "restarted: \"%s\" has changed, and that takes the old process to be gone first",
                 key);
        return false;
    }
    return true;
}
