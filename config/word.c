/* The app that a word on the command line means. */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/checks.h"
#include "config/env.h"
#include "config/listen_template.h"
#include "config/options.h"
#include "config/resolve.h"

/* The first problem is the one to tell: the later ones often follow from it. */
static void keep_first(void *arg, const char *key, const char *msg)
{
    struct err *e = arg;

    (void)key;
    if (e && e->code == 0)
        err_set(e, -EINVAL, "%s", msg);
}

/* The caller's environment, and over it what flags have put into the spec. */
static void complete_env(const struct config_ctx *ctx, struct app_spec *spec)
{
    char **given = spec->env, **env = env_inherit(ctx->environ);

    env_filter(env, spec->filter_env);
    for (char **at = given; at && *at; at++) {
        char *equals = strchr(*at, '=');

        if (!equals)
            continue;
        *equals = '\0';
        env_set(&env, *at, equals + 1);
    }
    strv_free(given);
    spec->env = env;
}

int config_resolve_word(const struct config_ctx *ctx, const char *word, struct app_spec *spec, struct err *e)
{
    struct err scratch = {0};
    struct resolve r = {.spec = spec,
                        .word = word,
                        .environ = ctx->environ,
                        .second = ctx->cwd,
                        .instances_given = spec->instances_given,
                        .problem = keep_first,
                        .arg = e ? e : &scratch};
    bool ok;

    if (e)
        *e = scratch;
    if (word[strspn(word, " \t\r\n")] == '\0')
        return err_set(e, -EINVAL, "the script is empty");
    if (spec->name && check_app_name(spec->name, e) < 0)
        return err_wrap(e, "the name"), -EINVAL;
    complete_env(ctx, spec);
    if (!resolve_cwd(&r, ctx->cwd, ctx->environ))
        return -EINVAL;
    ok = resolve_app(&r);
    free(r.plain_name);
    if (!ok)
        return -EINVAL;
    return listen_check_app(spec, e);
}
