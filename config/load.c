/* From files, descriptors and text to lists of apps. */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/apps.h"
#include "config/format.h"
#include "config/interpolate.h"
#include "config/tree.h"

void app_list_free(struct app_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        app_spec_free(l->v[i]);
    for (size_t i = 0; l->names && i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    free(l->v);
    *l = (struct app_list){0};
}

void config_report_free(struct config_report *r)
{
    buf_free(&r->errors);
    buf_free(&r->warnings);
    r->n_errors = r->n_warnings = 0;
}

static int load(const struct config_ctx *ctx, const struct config_text *text, struct app_list *out,
                struct config_report *report)
{
    struct diag diag = {.file = text->name};
    struct tree tree = {0};
    struct app_source source = {.ctx = ctx, .folder = text->folder, .diag = &diag};
    bool failed;

    *out = (struct app_list){0};
    if (format_read(&tree, ctx, text, &diag) == 0) {
        if (!diag.numbered) /* JavaScript has the variables, and its own way to put them into texts */
            interpolate_apps(&tree, ctx->environ, ctx->env_name, &diag);
        apps_read(&source, tree.root, out);
    }
    failed = diag.n_errors > 0;
    if (failed)
        app_list_free(out);
    else if (ctx->env_name && !source.env_name_seen)
        diag_warn(&diag, 0, 0, "no app has \"env_%s\", so --env %s changes nothing", ctx->env_name,
                  ctx->env_name);
    diag_flush(&diag, report);
    tree_deinit(&tree);
    return failed ? -EINVAL : 0;
}

/* Why the file cannot be a config although it is there; NULL when it can. The caller frees. */
static char *not_a_file(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
        return NULL;
    if (S_ISDIR(st.st_mode))
        return xstrdup("is a folder, not a config file");
    /* It may wait for ever, and node would read it a second time. */
    return xstrdup("is not a regular file; hand it over on standard input: pm start - < FILE");
}

static int fail(const char *name, const char *msg, struct config_report *report)
{
    struct diag diag = {.file = name};

    diag_error(&diag, 0, 0, "%s", msg);
    diag_flush(&diag, report);
    return -EINVAL;
}

int config_load_text(const struct config_ctx *ctx, const char *name, const char *text, size_t len,
                     enum config_format format, struct app_list *out, struct config_report *report)
{
    _cleanup_free_ char *path = fs_absolute(ctx->cwd, name);
    struct config_text in = {
        .name = name, .path = path, .folder = ctx->cwd, .format = format, .text = text, .len = len};

    return load(ctx, &in, out, report);
}

int config_load_file(const struct config_ctx *ctx, const char *path, struct app_list *out,
                     struct config_report *report)
{
    _cleanup_free_ char *absolute = fs_absolute(ctx->cwd, path);
    _cleanup_free_ char *folder = xstrdup(absolute);
    struct config_text in = {
        .name = path, .path = absolute, .folder = folder, .format = format_of_name(path), .is_file = true};
    struct buf text = {0};
    struct err e = {0};
    _cleanup_free_ char *odd = not_a_file(absolute);
    char *slash = strrchr(folder, '/');
    int r;

    *out = (struct app_list){0};
    if (slash)
        slash[slash == folder] = '\0';
    if (odd)
        return fail(path, odd, report);
    if (fs_read_file(absolute, TREE_INPUT_MAX, &text, &e) < 0) {
        buf_free(&text);
        return fail(path, e.msg, report);
    }
    in.text = text.data ? text.data : "";
    in.len = text.len;
    r = load(ctx, &in, out, report);
    buf_free(&text);
    return r;
}

/* 0, or negative errno; -EFBIG when there is more than the bound. */
static int read_all(int fd, struct buf *out)
{
    char chunk[65536];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        buf_append(out, chunk, (size_t)n);
        if (out->len > TREE_INPUT_MAX)
            return -EFBIG;
    }
    return 0;
}

int config_load_fd(const struct config_ctx *ctx, const char *name, int fd, struct app_list *out,
                   struct config_report *report)
{
    struct buf text = {0};
    int r = read_all(fd, &text);

    *out = (struct app_list){0};
    if (r == 0) {
        r = config_load_text(ctx, name, text.data ? text.data : "", text.len, CONFIG_UNKNOWN, out, report);
    } else {
        _cleanup_free_ char *msg = r == -EFBIG ? xasprintf("larger than %u MiB", TREE_INPUT_MAX >> 20)
                                               : xasprintf("cannot read: %s", strerror(-r));

        r = fail(name, msg, report);
    }
    buf_free(&text);
    return r;
}
