#include "config/listen_template.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/spec.h"

#define NAMED "listen."

/* Length of the template that begins with the brace at `p`, else 0. */
static size_t template_length(const char *p)
{
    const char *end;

    if (strncmp(p, "{fd}", 4) == 0)
        return 4;
    if (strncmp(p + 1, NAMED, strlen(NAMED)) != 0)
        return 0;
    end = strchr(p, '}');
    return end ? (size_t)(end + 1 - p) : 0;
}

/* The names as templates, for a message. */
static void tell_names(const struct listen_list *l, char *out, size_t size)
{
    size_t n = 0;

    *out = '\0';
    for (unsigned i = 0; i < l->n && n + 1 < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s{" NAMED "%.60s}", i ? ", " : "", l->v[i].name);
}

/* Number of the socket that the template means, or -EINVAL. */
static int template_index(const struct listen_list *l, const char *p, size_t len, struct err *e)
{
    const size_t skip = 1 + strlen(NAMED);
    _cleanup_free_ char *name = len > 4 ? xstrndup(p + skip, len - skip - 1) : NULL;
    int i = name ? listen_index(l, name) : l->n == 1 ? 0 : -1;
    char names[200];

    if (i >= 0)
        return i;
    tell_names(l, names, sizeof(names));
    if (!name)
        return err_set(e, -EINVAL, "{fd} could be any of %u sockets; say which: %s", l->n, names);
    return err_set(e, -EINVAL, "listen has no entry with the name \"%.60s\"; there is %s", name, names);
}

char *listen_expand(const struct listen_list *l, const char *text, struct err *e)
{
    struct buf out = {0};
    const char *p = text, *brace;

    if (!l->n || !strchr(text, '{'))
        return xstrdup(text);
    while ((brace = strchr(p, '{')) != NULL) {
        bool shells = brace > text && brace[-1] == '$';
        size_t len = shells ? 0 : template_length(brace);
        int i;

        buf_append(&out, p, (size_t)(brace - p));
        p = brace + 1;
        if (len) {
            i = template_index(l, brace, len, e);
            if (i < 0) {
                buf_free(&out);
                return NULL;
            }
            buf_printf(&out, "%d", LISTEN_FD_FIRST + i);
            p = brace + len;
        } else if (!shells && brace[1] == '{' && template_length(brace + 1)) {
            len = template_length(brace + 1);
            buf_append(&out, brace + 1, len);
            p = brace + 1 + len;
        } else {
            buf_putc(&out, '{');
        }
    }
    buf_puts(&out, p);
    return buf_steal(&out);
}

int listen_check_text(const struct listen_list *l, const char *text, struct err *e)
{
    char *expanded = listen_expand(l, text, e);

    free(expanded);
    return expanded ? 0 : -EINVAL;
}

int listen_check_app(const struct app_spec *s, struct err *e)
{
    if (!s->listen.n)
        return 0;
    for (char **arg = s->args; arg && *arg; arg++)
        if (listen_check_text(&s->listen, *arg, e) < 0)
            return err_wrap(e, "args"), -EINVAL;
    for (char **var = s->env; var && *var; var++)
        if (listen_check_text(&s->listen, *var, e) < 0)
            return err_wrap(e, "the variable %.*s", (int)strcspn(*var, "="), *var), -EINVAL;
    return 0;
}
