#include "config/exec_mode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "config/interpreter.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool program_is_node(const char *program)
{
    const char *word = base_name(program);

    return strncmp(word, "node", 4) == 0 &&
           (word[4] == '\0' || word[4] == '@' || (word[4] >= '0' && word[4] <= '9'));
}

static bool knows_clusters(const char *program)
{
    return program && (program_is_node(program) || strcmp(base_name(program), "bun") == 0);
}

bool app_is_cluster(const struct app_spec *s)
{
    return strcmp(s->exec_mode, "cluster") == 0 && knows_clusters(s->interpreter);
}

/* `node -e CODE`: the program is in the arguments, and what is called the script is none. */
static const char *code_flag(const struct app_spec *s)
{
    static const char *const flags[] = {"-e", "--eval", "-p", "--print", "-pe"};

    for (char **arg = s->interpreter_args; arg && *arg; arg++)
        for (size_t i = 0; i < ARRAY_LEN(flags); i++)
            if (strncmp(*arg, flags[i], strlen(flags[i])) == 0 &&
                strchr("=", (*arg)[strlen(flags[i])])) /* its end, or a value */
                return flags[i];
    return NULL;
}

static int check_cluster(const struct app_spec *s, struct err *e)
{
    const char *flag = code_flag(s), *program = s->interpreter;

    if (knows_clusters(program))
        return flag ? err_set(e, -EINVAL,
                              "exec_mode: a cluster needs a script file, not code after %s; use fork", flag)
                    : 0;
    if (!program || strcmp(program, INTERPRETER_NONE) == 0) {
        program = s->script;
        if (knows_clusters(program))
            return err_set(e, -EINVAL,
                           "exec_mode: a cluster needs a script file; name it as \"script\", and %s as "
                           "\"interpreter\"",
                           base_name(program));
    }
    return err_set(
        e, -EINVAL,
        "exec_mode: cluster is for scripts of node or bun, and this is run by %.200s; use fork, and "
        "\"listen\" for sockets that its instances share",
        base_name(program));
}

int exec_mode_choose(struct app_spec *s, bool mode_given, bool instances_given, struct err *e)
{
    if (mode_given)
        return strcmp(s->exec_mode, "cluster") == 0 ? check_cluster(s, e) : 0;
    free(s->exec_mode);
    s->exec_mode = xstrdup(
        instances_given && s->instances >= -1 && knows_clusters(s->interpreter) && !code_flag(s) ? "cluster"
                                                                                                 : "fork");
    return 0;
}
