#include "config/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/mem.h"
#include "config/spec.h"
#include "config/values.h"

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static char *in_folder(const char *cwd, const char *folder, const char *word)
{
    _cleanup_free_ char *absolute = fs_absolute(cwd, folder);
    char *path = fs_join(absolute, word);

    if (is_program(path))
        return path;
    free(path);
    return NULL;
}

char *path_find_program(char *const *env, const char *cwd, const char *word)
{
    const char *path = env_get(env, "PATH");
    _cleanup_free_ char *list = NULL;
    char *rest, *folder, *found;

    if (!*word)
        return NULL;
    if (strchr(word, '/')) {
        found = fs_absolute(cwd, word);
        if (is_program(found))
            return found;
        free(found);
        return NULL;
    }
    list = xstrdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
    rest = list;
    while ((folder = strsep(&rest, ":")) != NULL) {
        found = in_folder(cwd, *folder ? folder : ".", word);
        if (found)
            return found;
    }
    return NULL;
}

char *path_expand_home(char *const *env, const char *path)
{
    const char *home = env_get(env, "HOME");

    if (path[0] != '~' || (path[1] && path[1] != '/') || !home || home[0] != '/')
        return xstrdup(path);
    return xasprintf("%s%s", home, path + 1);
}

bool path_is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* `line` is what follows "#!", without the newline. */
static void read_shebang(char *line, struct script_info *out)
{
    size_t len = strlen(line), skip = 1;
    char **words;

    if (len && line[len - 1] == '\r') {
        line[len - 1] = '\0';
        out->crlf = true;
    }
    words = value_split(line);
    if (!words || !words[0]) {
        strv_free(words);
        out->program = xstrdup("");
        out->program_args = strv_dup(NULL);
        return;
    }
    if (strcmp(base_name(words[0]), "env") == 0 && words[1]) {
        if (strcmp(words[1], "-S") == 0 && words[2])
            skip = 3;
        else if (words[1][0] != '-')
            skip = 2;
    }
    out->program = xstrdup(words[skip - 1]);
    out->program_args = strv_dup(words + skip);
    strv_free(words);
}

static void read_start(int fd, struct script_info *out)
{
    char start[512];
    ssize_t n = pread(fd, start, sizeof(start) - 1, 0);
    char *newline;

    if (n <= 0) {
        out->kind = n == 0 ? SCRIPT_EMPTY : SCRIPT_UNREADABLE;
        return;
    }
    start[n] = '\0';
    if (n >= 2 && start[0] == '#' && start[1] == '!') {
        newline = strchr(start, '\n');
        if (newline)
            *newline = '\0';
        out->kind = SCRIPT_SHEBANG;
        read_shebang(start + 2, out);
    } else {
        out->kind = memchr(start, '\0', (size_t)n) || start[0] == 0x7f ? SCRIPT_BINARY : SCRIPT_TEXT;
    }
}

void script_inspect(const char *path, struct script_info *out)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    *out = (struct script_info){.kind = SCRIPT_MISSING};
    if (stat(path, &st) < 0)
        return;
    if (!S_ISREG(st.st_mode)) {
        out->kind = S_ISDIR(st.st_mode) ? SCRIPT_FOLDER : SCRIPT_SPECIAL;
        return;
    }
    out->executable = access(path, X_OK) == 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) /* a program may be executable without being readable */
        out->kind = out->executable ? SCRIPT_BINARY : SCRIPT_UNREADABLE;
    else
        read_start(fd, out);
}

void script_info_deinit(struct script_info *info)
{
    free(info->program);
    strv_free(info->program_args);
    *info = (struct script_info){0};
}
