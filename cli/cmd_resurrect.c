/* resurrect: pm's own saved list, or one of PM2. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/appfile.h"
#include "cli/autostart.h"
#include "cli/dumpsend.h"
#include "cli/proclist.h"
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

static int finish(struct cli *c, const struct resurrected *r, int code)
{
    if (code != EXIT_DONE)
        return code;
    if (r->n == 0)
        out_note(&c->out, "nothing was missing from the list");
    if (c->out.tty && !c->out.silent)
        proclist_print(c);
    return r->n_failed ? EXIT_FAILED : EXIT_DONE;
}

static int connect_daemon(struct cli *c)
{
    return c->connected || autostart_connect(c) == SESSION_OK ? EXIT_DONE : EXIT_FAILED;
}

/* Nothing is started, nor the daemon, unless the whole file is good. */
static int bring(struct cli *c, struct found *f, int rc)
{
    struct resurrected r = {0};
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
    return finish(c, &r, dumpsend(c, &f->dump, &r));
}

static int resurrect_named(struct cli *c, const char *path)
{
    struct found f;
    int code, rc = load(&f, xstrdup(path));

    if (rc == -ENOENT)
        code = out_error(&c->out, "there is no file %s", path);
    else
        code = bring(c, &f, rc);
    found_free(&f);
    return code;
}

int cmd_resurrect(struct cli *c, const struct args *a)
{
    struct resurrected r = {0};
    json_t *result = NULL;
    struct err refusal;
    struct found f;
    int code, rc;

    if (a->n_words)
        return resurrect_named(c, a->words[0]);
    code = connect_daemon(c);
    if (code != EXIT_DONE)
        return code;
    code = session_ask(c, "resurrect", NULL, &result, &refusal);
    if (code >= 0) {
        resurrected_print(c, result, &r);
        json_decref(result);
        return finish(c, &r, code);
    }
    json_decref(result);
    if (code != RPC_NO_MATCH)
        return out_error(&c->out, "%s", refusal.msg);
    rc = search(c, &f);
    if (rc == -ENOENT)
        code = out_error(&c->out, "%s, and PM2 has left no " DUMP_NAME, refusal.msg);
    else
        code = bring(c, &f, rc);
    found_free(&f);
    return code;
}
