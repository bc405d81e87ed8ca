#include "cli/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "common/mem.h"

#define ROWS_DEFAULT    24
#define EXIT_NO_PROGRAM 127 /* the shell's */

static int terminal_rows(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
}

static bool is_on_path(const char *program)
{
    const char *path = getenv("PATH");

    while (path && *path) {
        size_t len = strcspn(path, ":");
        _cleanup_free_ char *file = xasprintf("%.*s/%s", (int)len, path, program);

        if (len && access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* What the user wants; $PAGER empty or "cat" means none. NULL, or a command line for the shell. */
static char *choose(void)
{
    const char *wanted = getenv("PAGER");

    if (wanted)
        return *wanted && strcmp(wanted, "cat") != 0 ? xstrdup(wanted) : NULL;
    return is_on_path("less") ? xstrdup("less -FRX") : NULL;
}

void pager_init(struct pager *p, const struct out *o)
{
    const char *term = getenv("TERM");

    *p = (struct pager){0};
    if (!o->tty || (term && strcmp(term, "dumb") == 0))
        return;
    p->command = choose();
    p->wanted = p->command != NULL;
    p->rows = terminal_rows();
}

static void run_pager(const struct pager *p, int from)
{
    signal(SIGPIPE, SIG_DFL);
    if (dup2(from, STDIN_FILENO) < 0)
        _exit(EXIT_NO_PROGRAM);
    /* Colours shall pass, and the screen stay, also through a less that the user named without options. */
    setenv("LESS", "FRX", 0);
    setenv("LV", "-c", 0);
    execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
    _exit(EXIT_NO_PROGRAM);
}

/* Puts the pager between stdout and the terminal. Without one, output goes on as before. */
static void start(struct pager *p)
{
    int ends[2];

    p->wanted = false;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    p->pid = fork();
    if (p->pid == 0)
        run_pager(p, ends[0]);
    if (p->pid > 0) {
        /* Ctrl-C is for both: the pager stops waiting for more, and this command sends no more. */
        interrupt_catch();
        signal(SIGPIPE, SIG_IGN);
        dup2(ends[1], STDOUT_FILENO);
    } else {
        p->pid = 0;
    }
    close(ends[0]);
    close(ends[1]);
}

static void write_out(struct pager *p, const struct buf *b)
{
    if (p->gone || !b->len)
        return;
    if (fwrite(b->data, 1, b->len, stdout) < b->len || (p->pid && fflush(stdout) != 0))
        p->gone = p->pid > 0;
}

static void release(struct pager *p)
{
    write_out(p, &p->held);
    buf_free(&p->held);
}

void pager_write(struct pager *p, const struct buf *b)
{
    if (!p->wanted) {
        write_out(p, b);
        return;
    }
    for (size_t i = 0; i < b->len; i++)
        p->lines += b->data[i] == '\n';
    if (b->len)
        buf_append(&p->held, b->data, b->len);
    /* The prompt that follows takes a line as well. */
    if (p->lines >= p->rows) {
        start(p);
        release(p);
    }
}

/* Nothing else reads what is written from here on. */
static void leave_pipe(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    fflush(stdout);
    clearerr(stdout);
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        close(null);
    } else {
        close(STDOUT_FILENO);
    }
}

int pager_end(struct pager *p, const struct out *o)
{
    int status = 0, code = 0;

    p->wanted = false;
    release(p);
    if (p->pid) {
        leave_pipe();
        while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
            code = out_error(
                o, "the pager \"%.80s\" cannot be run; set PAGER to one that can, or use --no-pager",
                p->command);
    }
    free(p->command);
    *p = (struct pager){0};
    return code;
}
