/* resurrect: pm's own saved list, or one of PM2. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/appfile.h"
#include "cli/autostart.h"
#include "cli/dumpsend.h"
#include "cli/session.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "ipc/methods.h"

#define DUMP_NAME "dump.pm2"

/* A list of PM2 that was found, or the words on why it cannot be read. */
struct found {
    char *path;
    struct pm2_dump dump;
    struct config_report report;
};

static void found_free(struct found *f)
{
    free(f->path);
    pm2_dump_free(&f->dump);
    config_report_free(&f->report);
    *f = (struct found){0};
}

/* 0, -ENOENT, or -EINVAL with the errors in the report. Takes the path. */
static int load(struct found *f, char *take_path)
{
    *f = (struct found){.path = take_path};
    return pm2_dump_load(f->path, &f->dump, &f->report);
}

/* The dump of a folder, or the one before it, which PM2 keeps. */
static int load_from(const struct cli *c, const char *folder, struct found *f)
{
    struct found before;
    int rc = load(f, fs_join(folder, DUMP_NAME)), rc_before;
    const char *why;

    if (rc == 0)
        return 0;
    rc_before = load(&before, fs_join(folder, DUMP_NAME ".bak"));
    if (rc == -EINVAL && rc_before != 0) { /* the newer one's errors are the ones to tell */
        found_free(&before);
        return rc;
    }
    if (rc == -EINVAL) {
        why = f->report.errors.data;
        out_warn(&c->out, "%.*s; the list before it is taken", (int)strcspn(why, "\n"), why);
    }
    found_free(f);
    *f = before;
    return rc_before;
}

/* Where PM2's list may be, in the order of precedence. */
static int search(const struct cli *c, struct found *f)
{
    const char *pm2_home = getenv("PM2_HOME"), *home = getenv("HOME");
    _cleanup_free_ char *usual = home && *home ? fs_join(home, ".pm2") : NULL;
    const char *const folders[] = {c->home_path, pm2_home && *pm2_home ? pm2_home : NULL, usual};
    int rc = -ENOENT;

    *f = (struct found){0};
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == -ENOENT; i++) {
        if (!folders[i])
            continue;
        found_free(f);
        rc = load_from(c, folders[i], f);
    }
    return rc;
}

static int finish(struct action *t, size_t n, int code)
{
    if (code == EXIT_DONE && n == 0)
        out_note(&t->c->out, "nothing was missing from the list");
    return code;
}

static int connect_daemon(struct cli *c)
{
    return c->connected || autostart_connect(c) == SESSION_OK ? EXIT_DONE : EXIT_FAILED;
}

/* Nothing is started, nor the daemon, unless the whole file is good. */
static int bring(struct action *t, struct found *f, int rc)
{
    struct cli *c = t->c;
    size_t n = 0;
    int code;

    if (rc < 0) /* what else there is to remark on would only hide why */
        buf_free(&f->report.warnings);
    appfile_print_report(c, &f->report);
    if (rc < 0)
        return EXIT_FAILED;
    code = connect_daemon(c);
    if (code != EXIT_DONE)
        return code;
    out_note(&c->out, "taking the list that PM2 has saved in %s", f->path);
    code = dumpsend(t, &f->dump, &n);
    return finish(t, n, code);
}

static int resurrect_named(struct action *t, const char *path)
{
    struct found f;
    int code, rc = load(&f, xstrdup(path));

    if (rc == -ENOENT)
        code = out_error(&t->c->out, "there is no file %s", path);
    else
        code = bring(t, &f, rc);
    found_free(&f);
    return code;
}

/* pm's own list; where there is none, PM2's. */
static int resurrect_saved(struct action *t)
{
    struct cli *c = t->c;
    json_t *result = NULL;
    struct err refusal;
    struct found f;
    size_t n;
    int rc, code = connect_daemon(c);

    if (code != EXIT_DONE)
        return code;
    code = action_ask(t, "resurrect", NULL, "started", &result, &refusal);
    if (code >= 0) {
        n = resurrected_print(c, result);
        json_decref(result);
        return finish(t, n, code);
    }
    json_decref(result);
    if (code != RPC_NO_MATCH)
        return out_error(&c->out, "%s", refusal.msg);
    rc = search(c, &f);
    if (rc == -ENOENT)
        code = out_error(&c->out, "%s, and PM2 has left no " DUMP_NAME, refusal.msg);
    else
        code = bring(t, &f, rc);
    found_free(&f);
    return code;
}

int cmd_resurrect(struct cli *c, const struct args *a)
{
    struct action t;
    int code;

    action_begin(&t, c, a);
    code = a->n_words ? resurrect_named(&t, a->words[0]) : resurrect_saved(&t);
    return action_end(&t, code == EXIT_DONE || t.progress.done, code);
}
