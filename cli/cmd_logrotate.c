/* logrotate: rotates log files now, or writes a file for logrotate(8). */
#include <stdio.h>
#include <string.h>

#include "cli/control.h"
#include "cli/jsonget.h"
#include "cli/logrotate_file.h"
#include "cli/session.h"
#include "cli/text.h"
#include "common/mem.h"

/* One line a file; the exit code. */
static int tell(const struct cli *c, const json_t *file)
{
    _cleanup_free_ char *path = text_clean_dup(j_text(file, "path"));
    _cleanup_free_ char *to = text_clean_dup(j_text(file, "to"));
    const char *error = j_text(file, "error");

    if (error && *error)
        return out_error(&c->out, "%s", error);
    if (to && *to)
        out_say(&c->out, "rotated %s to %s (%lld bytes)", path, to,
                (long long)json_integer_value(json_object_get(file, "bytes")));
    else
        out_say(&c->out, "left %s: %s", path, j_text(file, "note"));
    return EXIT_DONE;
}

static int rotate(struct cli *c, const struct args *a)
{
    json_t *params = NULL, *result = NULL, *files, *file;
    int code = EXIT_DONE, worst = EXIT_DONE;
    size_t i;

    if (!c->connected)
        return session_no_daemon(c);
    if (a->n_words)
        code = control_selectors(c, a, 0, &params);
    if (code == EXIT_DONE)
        code = session_call(c, "logrotate", params, &result);
    if (code != EXIT_DONE)
        return code;
    files = json_object_get(result, "files");
    if (args_has(a, "json")) {
        out_json(files);
        json_array_foreach (files, i, file)
            if (!json_is_true(json_object_get(file, "ok")))
                worst = EXIT_FAILED;
    } else {
        json_array_foreach (files, i, file)
            if (tell(c, file) != EXIT_DONE)
                worst = EXIT_FAILED;
        if (json_array_size(files) == 0)
            out_note(&c->out, "there are no log files to rotate");
    }
    json_decref(result);
    return worst;
}

int cmd_logrotate(struct cli *c, const struct args *a)
{
    if (args_has(a, "path") && !args_has(a, "install"))
        return out_error(&c->out, "--path is for --install: pm logrotate --install --path FILE"), EXIT_USAGE;
    if (!args_has(a, "install"))
        return rotate(c, a);
    if (a->n_words)
        return out_error(&c->out, "--install is for all log files and takes no name"), EXIT_USAGE;
    return logrotate_file_install(c, args_text(a, "path"));
}
