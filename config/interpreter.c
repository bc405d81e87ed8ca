#include "config/interpreter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"
#include "config/js_eval.h"

/* By extension; of several programs the first that is installed. */
static const struct {
    const char *extension;
    const char *programs[3]; /* NULL-terminated */
} by_extension[] = {
    {".sh", {"bash", "sh"}},  {".py", {"python3", "python"}},
    {".rb", {"ruby"}},        {".php", {"php"}},
    {".pl", {"perl"}},        {".js", {"node"}},
    {".mjs", {"node"}},       {".cjs", {"node"}},
    {".ts", {"bun", "node"}}, {".mts", {"bun", "node"}},
    {".tsx", {"bun"}},        {".coffee", {"coffee"}},
    {".ls", {"lsc"}},
};

static bool installed(const struct app_spec *spec, const char *word)
{
    char *path = path_find_program(spec->env, spec->cwd, word);

    free(path);
    return path != NULL;
}

static int missing(const char *word, struct err *e)
{
    if (strchr(word, '/'))
        return err_set(e, -ENOENT, "interpreter \"%.300s\" is not an executable file", word);
    return err_set(e, -ENOENT, "interpreter \"%.300s\" not found on PATH; install it or give --interpreter",
                   word);
}

static void set_interpreter(struct app_spec *spec, const char *word)
{
    free(spec->interpreter);
    spec->interpreter = xstrdup(word);
}

/* What the user named. A path becomes absolute, a word stays a word: PATH decides at each start. */
static int use_given(struct app_spec *spec, struct err *e)
{
    _cleanup_free_ char *expanded = path_expand_home(spec->env, spec->interpreter), *absolute = NULL;

    if (strchr(expanded, '/')) {
        absolute = fs_absolute(spec->cwd, expanded);
        set_interpreter(spec, absolute);
    } else if (strcmp(expanded, "python") == 0 && !installed(spec, "python")) {
        set_interpreter(spec, "python3"); /* many systems have only this name */
    }
    return installed(spec, spec->interpreter) ? 0 : missing(spec->interpreter, e);
}

/* Node since 22.18 and 23.6 runs TypeScript by leaving the types out; node itself knows best. */
static bool node_runs_typescript(const struct app_spec *spec)
{
    static const char question[] = "{\"strips\": !!process.features.typescript}";
    const struct js_input in = {.path = "/typescript",
                                .folder = spec->cwd,
                                .environ = spec->env,
                                .text = question,
                                .len = sizeof(question) - 1};
    const char *options = env_get(spec->env, "NODE_OPTIONS");
    struct js_result answer;
    bool strips;

    /* A loader such as tsx or ts-node may stand there. */
    if (strv_len(spec->interpreter_args) || (options && *options))
        return true;
    strips = js_eval(&in, &answer) == JS_VALUE && strstr(answer.json.data, "\"strips\":true");
    js_result_deinit(&answer);
    return strips;
}

static int use_extension(struct app_spec *spec, const char *extension, const char *const *programs,
                         struct err *e)
{
    bool typescript = strcmp(extension, ".ts") == 0 || strcmp(extension, ".mts") == 0;
    size_t i = 0;

    do {
        if (installed(spec, programs[i])) {
            if (typescript && strcmp(programs[i], "node") == 0 && !node_runs_typescript(spec))
                return err_set(
                    e, -ENOENT,
                    "TypeScript needs bun, or node 22.18 or newer; this node is older. Install one, "
                    "compile it to JavaScript, or give --interpreter");
            set_interpreter(spec, programs[i]);
            return 0;
        }
    } while (programs[++i]);
    return missing(programs[0], e);
}

static int check_shebang(const struct app_spec *spec, const struct script_info *info, struct err *e)
{
    if (info->crlf)
        return err_set(e, -ENOEXEC, "the first line of \"%.300s\" ends in CR LF; save it with LF line ends",
                       spec->script);
    if (!installed(spec, info->program))
        return err_set(e, -ENOENT, "the first line of \"%.200s\" names \"%.150s\", which is not there",
                       spec->script, info->program);
    return 0;
}

/* No extension that says more: the file itself decides. */
static int use_file(struct app_spec *spec, const struct script_info *info, struct err *e)
{
    int r;

    switch (info->kind) {
    case SCRIPT_SHEBANG:
        r = check_shebang(spec, info, e);
        if (r < 0)
            return r;
        if (info->executable)
            break;
        set_interpreter(spec, info->program);
        if (!strv_len(spec->interpreter_args)) {
            strv_free(spec->interpreter_args);
            spec->interpreter_args = strv_dup(info->program_args);
        }
        return 0;
    case SCRIPT_BINARY:
        if (info->executable)
            break;
        return err_set(e, -EACCES, "\"%.300s\" is not executable; chmod +x it", spec->script);
    default:
        return err_set(e, -ENOEXEC,
                       "cannot tell how to run \"%.250s\": it has no known extension and no #! line; give "
                       "--interpreter",
                       spec->script);
    }
    set_interpreter(spec, INTERPRETER_NONE);
    return 0;
}

static int run_directly(struct app_spec *spec, const struct script_info *info, struct err *e)
{
    if (!info->executable)
        return err_set(e, -EACCES, "\"%.300s\" is not executable; chmod +x it or give --interpreter",
                       spec->script);
    if (info->kind == SCRIPT_SHEBANG)
        return check_shebang(spec, info, e);
    if (info->kind != SCRIPT_BINARY)
        return err_set(e, -ENOEXEC, "\"%.250s\" cannot run by itself: it has no #! line; give --interpreter",
                       spec->script);
    return 0;
}

static bool is_python(const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL;

    return program && strncmp(slash ? slash + 1 : program, "python", 6) == 0;
}

/* Python keeps output in memory when it is not a terminal: the log would lag by kilobytes and lose them at a
 * kill. */
static void unbuffer_python(struct app_spec *spec, const struct script_info *info)
{
    if ((is_python(spec->interpreter) || is_python(info->program)) && !env_get(spec->env, "PYTHONUNBUFFERED"))
        env_set(&spec->env, "PYTHONUNBUFFERED", "1");
}

int interpreter_choose(struct app_spec *spec, const struct script_info *info, bool on_path, struct err *e)
{
    const char *slash = strrchr(spec->script, '/'), *dot = strrchr(slash, '.');
    int r = 1;

    if (spec->interpreter)
        r = strcmp(spec->interpreter, INTERPRETER_NONE) == 0 ? run_directly(spec, info, e)
                                                             : use_given(spec, e);
    for (size_t i = 0; r > 0 && !on_path && dot && dot > slash + 1 && i < ARRAY_LEN(by_extension); i++)
        if (strcmp(dot, by_extension[i].extension) == 0)
            r = use_extension(spec, by_extension[i].extension, by_extension[i].programs, e);
    if (r > 0)
        r = use_file(spec, info, e);
    if (r == 0)
        unbuffer_python(spec, info);
    return r;
}
