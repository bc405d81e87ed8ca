#include "cli/logrotate_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/jsonget.h"
#include "cli/session.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"
#include "common/mem.h"

extern char **environ;

/* logrotate(8) has no way to write these in a quoted name, or takes them for a pattern. */
static int check(const char *path, const char *bad, struct err *e)
{
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (*p < ' ' || strchr(bad, *p))
            return err_set(e, -EINVAL, "logrotate(8) can't be told of %s: the character at byte %d", path,
                           (int)(p - (const unsigned char *)path) + 1);
    return 0;
}

/* In single quotes for the shell. */
static void put_quoted(struct buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_puts(out, "'\\'");
        buf_putc(out, *text);
    }
    buf_putc(out, '\'');
}

static void put_reload(const struct logrotate_file *f, struct buf *out)
{
    buf_puts(out, "        PM_HOME=");
    put_quoted(out, f->home);
    buf_puts(out, "\n        export PM_HOME\n"
                  "        [ -S \"$PM_HOME/pm.sock\" ] || exit 0\n");
    buf_puts(out, "        if [ \"$(id -un)\" = ");
    put_quoted(out, f->user);
    buf_puts(out, " ]; then\n            ");
    put_quoted(out, f->pm);
    buf_puts(out, " reloadLogs --silent\n        else\n            runuser -u ");
    put_quoted(out, f->user);
    buf_puts(out, " -- ");
    put_quoted(out, f->pm);
    buf_puts(out, " reloadLogs --silent\n        fi\n");
}

int logrotate_file_text(const struct logrotate_file *f, struct buf *out, struct err *e)
{
    int rc = check(f->home, "\"'\\*?[]{}", e);

    for (char *const *p = f->files; rc == 0 && *p; p++)
        rc = check(*p, "\"'\\?[]{}", e);
    if (rc < 0)
        return rc;
    buf_printf(out, "# The log files of pm in %s. Written by: pm logrotate --install\n", f->home);
    for (char *const *p = f->files; *p; p++)
        buf_printf(out, "\"%s\"\n", *p);
    buf_puts(out,
             "{\n    daily\n    maxsize 10M\n    rotate 30\n    compress\n    delaycompress\n    missingok\n"
             "    notifempty\n    sharedscripts\n");
    /* Otherwise it refuses folders that others than root may write to. */
    if (!f->root)
        buf_printf(out, "    su %s %s\n", f->user, f->group);
    buf_printf(out, "    create 0640 %s %s\n    postrotate\n", f->user, f->group);
    put_reload(f, out);
    buf_puts(out, "    endscript\n}\n");
    return 0;
}

/* ---- what the home has ---- */

static void add_file(char ***files, const char *folder, const char *path)
{
    size_t n = strlen(folder);

    if (path[0] != '/' || strncmp(path, "/dev/", 5) == 0)
        return;
    if (strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/') && strlen(path) > 4 &&
        strcmp(path + strlen(path) - 4, ".log") == 0)
        return; /* the pattern has it */
    for (char **p = *files; *p; p++)
        if (strcmp(*p, path) == 0)
            return;
    strv_push(files, xstrdup(path));
}

/* Those that are somewhere else are only known to a daemon that runs. */
static char **find_files(struct cli *c)
{
    static const char *const keys[] = {"pm_out_log_path", "pm_err_log_path", "pm_log_path"};
    _cleanup_free_ char *folder = xasprintf("%s/logs", c->home_path);
    char **files = strv_dup(NULL);
    json_t *result = NULL, *list, *p;
    size_t i;

    strv_push(&files, xasprintf("%s/*.log", folder));
    if (c->connected && session_call(c, "list", NULL, &result) == EXIT_DONE) {
        list = json_is_array(result) ? result : json_object_get(result, "processes");
        json_array_foreach (list, i, p)
            for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
                const char *path = json_string_value(json_object_get(json_object_get(p, "pm2_env"), keys[k]));

                if (path)
                    add_file(&files, folder, path);
            }
    }
    json_decref(result);
    return files;
}

static int find_owner(const char *home, char **user, char **group, bool *root, struct err *e)
{
    const struct passwd *pw;
    const struct group *gr;
    struct stat st;

    if (stat(home, &st) < 0)
        return err_errno(e, "cannot use the home %s", home);
    pw = getpwuid(st.st_uid);
    if (!pw)
        return err_set(e, -ENOENT, "the owner of %s, user %u, has no name", home, (unsigned)st.st_uid);
    gr = getgrgid(pw->pw_gid);
    if (!gr)
        return err_set(e, -ENOENT, "the group %u of user %s has no name", (unsigned)pw->pw_gid, pw->pw_name);
    *user = xstrdup(pw->pw_name);
    *group = xstrdup(gr->gr_name);
    *root = st.st_uid == 0;
    return 0;
}

static int write_file(const char *path, const struct buf *text, struct err *e)
{
    /* logrotate(8) passes over names that end so, should this be broken off. */
    _cleanup_free_ char *tmp = xasprintf("%s~", path);
    _cleanup_close_ int fd = -1;
    int rc;

    if (unlink(tmp) < 0 && errno != ENOENT)
        return err_errno(e, "cannot write %s", path);
    fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(e, "cannot write %s", path);
    rc = fs_write_all(fd, text->data, text->len);
    if (rc == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0 || rename(tmp, path) < 0))
        rc = -errno;
    if (rc < 0) {
        unlink(tmp);
        return err_set(e, rc, "cannot write %s: %s", path, strerror(-rc));
    }
    return 0;
}

/* ---- checked by the program itself ---- */

static void read_all(int fd, struct buf *out)
{
    char chunk[4096];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && out->len < 1u << 20)
            buf_append(out, chunk, (size_t)n);
}

/* `logrotate -d` changes nothing. 0, -ENOENT when it is not installed, -EINVAL when it refuses the file. */
static int ask_logrotate(const char *path, struct buf *said)
{
    static const char *const programs[] = {"/usr/sbin/logrotate", "/sbin/logrotate", "/usr/bin/logrotate"};
    posix_spawn_file_actions_t actions;
    const char *program = NULL;
    int pipes[2], status = 0, rc;
    pid_t pid;

    for (size_t i = 0; i < ARRAY_LEN(programs) && !program; i++)
        program = access(programs[i], X_OK) == 0 ? programs[i] : NULL;
    if (!program)
        return -ENOENT;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    char *const argv[] = {"logrotate", "-d", (char *)path, NULL};

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
    rc = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (rc == 0) {
        read_all(pipes[0], said);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(pipes[0]);
    if (rc != 0)
        return -rc;
    buf_putc(said, '\0');
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EINVAL;
}

static int check_file(struct cli *c, const char *path)
{
    struct buf said = {0};
    int rc = ask_logrotate(path, &said), code = EXIT_DONE;

    if (rc == -ENOENT) {
        out_note(&c->out, "logrotate(8) is not installed (package logrotate): nothing reads the file yet");
    } else if (rc == -EINVAL) {
        const char *error = strstr(said.data, "error:");

        code = out_error(&c->out, "logrotate(8) refuses %s: %.*s", path,
                         error ? (int)strcspn(error, "\n") : 30, error ? error : "see logrotate -d FILE");
    } else if (rc < 0) {
        code = out_error(&c->out, "cannot have %s checked by logrotate(8): %s", path, strerror(-rc));
    } else {
        out_say(&c->out, "logrotate(8) accepts it");
    }
    buf_free(&said);
    return code;
}

int logrotate_file_install(struct cli *c, const char *path)
{
    _cleanup_free_ char *user = NULL, *group = NULL, *target = NULL;
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct logrotate_file f = {.home = c->home_path, .pm = self};
    struct buf text = {0};
    struct err e = {0};
    char **files;
    int rc;

    if (n < 0)
        return out_error(&c->out, "cannot find out where pm is: %s", strerror(errno));
    self[n] = '\0';
    rc = find_owner(f.home, &user, &group, &f.root, &e);
    if (rc < 0)
        return out_error(&c->out, "%s", e.msg);
    files = find_files(c);
    f.user = user;
    f.group = group;
    f.files = files;
    target = path ? xstrdup(path) : xasprintf("/etc/logrotate.d/pm-%s", user);
    rc = logrotate_file_text(&f, &text, &e);
    if (rc == 0)
        rc = write_file(target, &text, &e);
    buf_free(&text);
    strv_free(files);
    if (rc == -EACCES && !path)
        return out_error(&c->out,
                         "%s; only root may: sudo PM_HOME='%s' '%s' logrotate --install (or --path FILE)",
                         e.msg, f.home, self);
    if (rc < 0)
        return out_error(&c->out, "%s", e.msg);
    out_say(&c->out, "wrote %s", target);
    return check_file(c, target);
}
