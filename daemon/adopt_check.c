#include "daemon/adopt_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"

#define USUAL_PATH   "/usr/local/bin:/usr/bin:/bin"
#define MAX_SCRIPTS  4   /* the kernel's limit of #! lines */
#define HEAD_MAX     256 /* of a #! line; the kernel's too */
#define MAX_HEADERS  4096
#define MAX_NOTES    65536
#define GO_NOTE_TYPE 4

#define INSTEAD "let the program take its socket by descriptor (LISTEN_FDS, {fd}) instead of `adopt`"

struct elf {
    int fd;
    ElfW(Ehdr) head;
};

static bool read_at(int fd, void *buf, size_t len, uint64_t at)
{
    return at <= INT64_MAX && pread(fd, buf, len, (off_t)at) == (ssize_t)len;
}

static bool is_elf(const unsigned char *ident)
{
    return memcmp(ident, ELFMAG, SELFMAG) == 0;
}

/* Of the daemon, and so of the library. */
static bool own_head(ElfW(Ehdr) * out)
{
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read_at(fd, out, sizeof(*out), 0);
}

static bool segment(const struct elf *e, size_t i, ElfW(Phdr) * out)
{
    return i < e->head.e_phnum && i < MAX_HEADERS && e->head.e_phentsize == sizeof(*out) &&
           read_at(e->fd, out, sizeof(*out), e->head.e_phoff + i * sizeof(*out));
}

static bool section(const struct elf *e, size_t i, ElfW(Shdr) * out)
{
    return i < e->head.e_shnum && i < MAX_HEADERS && e->head.e_shentsize == sizeof(*out) &&
           read_at(e->fd, out, sizeof(*out), e->head.e_shoff + i * sizeof(*out));
}

/* The notes of a segment: one of Go's linker among them? They also stay in a stripped program. */
static bool has_go_note(const struct elf *e, const ElfW(Phdr) * p)
{
    uint64_t at = p->p_offset, end = p->p_offset + (p->p_filesz < MAX_NOTES ? p->p_filesz : MAX_NOTES);
    ElfW(Nhdr) note;
    char name[4];

    while (at < end && end - at >= sizeof(note) && read_at(e->fd, &note, sizeof(note), at)) {
        at += sizeof(note);
        if (note.n_namesz == sizeof(name) && note.n_type == GO_NOTE_TYPE &&
            read_at(e->fd, name, sizeof(name), at) && memcmp(name, "Go\0", sizeof(name)) == 0)
            return true;
        at += (((uint64_t)note.n_namesz + 3) & ~3ULL) + (((uint64_t)note.n_descsz + 3) & ~3ULL);
    }
    return false;
}

static bool is_go(const struct elf *e)
{
    ElfW(Shdr) names, s;
    ElfW(Phdr) p;
    char name[24];

    for (size_t i = 0; segment(e, i, &p); i++)
        if (p.p_type == PT_NOTE && has_go_note(e, &p))
            return true;
    if (!section(e, e->head.e_shstrndx, &names))
        return false;
    for (size_t i = 0; section(e, i, &s); i++) {
        ssize_t n = s.sh_name < names.sh_size
                        ? pread(e->fd, name, sizeof(name) - 1, (off_t)(names.sh_offset + s.sh_name))
                        : 0;

        name[n > 0 ? n : 0] = '\0';
        if (strcmp(name, ".go.buildinfo") == 0 || strcmp(name, ".note.go.buildid") == 0)
            return true;
    }
    return false;
}

/* The dynamic loader's path; false when the program names none, and so is static. */
static bool loader_of(const struct elf *e, char *out, size_t size)
{
    ElfW(Phdr) p;

    for (size_t i = 0; segment(e, i, &p); i++) {
        size_t n = p.p_filesz < size ? p.p_filesz : size - 1;

        if (p.p_type != PT_INTERP || !read_at(e->fd, out, n, p.p_offset))
            continue;
        out[n] = '\0';
        return true;
    }
    return false;
}

static bool is_glibc(const char *loader)
{
    static const char *const names[] = {"ld-linux", "ld64.so.", "ld.so."};
    const char *slash = strrchr(loader, '/'), *name = slash ? slash + 1 : loader;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static int refuse(struct err *err, const char *file, const char *why)
{
    return err_set(err, -ENOTSUP, "adopt does not work with %s: %s; " INSTEAD, file, why);
}

/* It would run with other rights than its caller's, and the loader then ignores LD_PRELOAD. */
static int check_rights(int fd, const char *file, const struct stat *st, struct err *err)
{
    if (st->st_mode & S_ISUID)
        return refuse(err, file, "it is a setuid program, into which nothing is loaded");
    if ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP))
        return refuse(err, file, "it is a setgid program, into which nothing is loaded");
    if (fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return refuse(err, file,
                      "it has file capabilities (setcap), and nothing is loaded into such a program");
    return 0;
}

static int check_elf(int fd, const char *file, struct err *err)
{
    struct elf e = {.fd = fd};
    ElfW(Ehdr) own;
    char loader[PATH_MAX], why[PATH_MAX + 64];

    if (!own_head(&own) || !read_at(fd, &e.head, sizeof(e.head), 0))
        return 0;
    if (e.head.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
        e.head.e_ident[EI_DATA] != own.e_ident[EI_DATA] || e.head.e_machine != own.e_machine)
        return refuse(err, file,
                      "it is a program for another kind of processor (or of 32 bits) than the daemon");
    if (is_go(&e))
        return refuse(err, file, "it is a Go program, which calls the system without libc");
    if (!loader_of(&e, loader, sizeof(loader)))
        return refuse(err, file, "it is a static program, into which nothing is loaded");
    if (is_glibc(loader))
        return 0;
    snprintf(why, sizeof(why), "it uses another libc than glibc (%s)", loader);
    return refuse(err, file, why);
}

/* A path from `cwd`, or a name on the PATH. NULL when nothing is found. */
static char *find_program(const char *name, const char *path, const char *cwd)
{
    const char *at = path && *path ? path : USUAL_PATH;

    if (*name == '/')
        return xstrdup(name);
    if (strchr(name, '/'))
        return xasprintf("%s/%s", cwd, name);
    for (;;) {
        size_t n = strcspn(at, ":");
        char *full = *at == '/' ? xasprintf("%.*s/%s", (int)n, at, name)
                                : xasprintf("%s/%.*s/%s", cwd, (int)n, at, name);
        struct stat st;

        if (stat(full, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
            return full;
        free(full);
        if (!at[n])
            return NULL;
        at += n + 1;
    }
}

/*
 * The program of a #! line; of `#!/usr/bin/env NAME` the one of that name. Changes the line.
 * NULL when it names none.
 */
static const char *interpreter_of(char *line)
{
    char *rest = line + 2, *word = strsep(&rest, " \t\n"), *slash;

    while (word && !*word)
        word = strsep(&rest, " \t\n");
    slash = word ? strrchr(word, '/') : NULL;
    if (!word || strcmp(slash ? slash + 1 : word, "env") != 0)
        return word;
    while (rest && (word = strsep(&rest, " \t\n")))
        if (*word && *word != '-' && !strchr(word, '='))
            return word;
    return NULL;
}

/* 0 and, when `file` is a script, what runs it in `next` (to be freed). */
static int check_file(const char *file, char **next, struct err *err)
{
    /* Not blocking, for a pipe with that name. */
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char head[HEAD_MAX + 1];
    struct stat st;
    ssize_t n;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    n = pread(fd, head, HEAD_MAX, 0);
    if (n < SELFMAG)
        return 0;
    head[n] = '\0';
    if (is_elf((unsigned char *)head)) {
        rc = check_rights(fd, file, &st, err);
        return rc < 0 ? rc : check_elf(fd, file, err);
    }
    if (head[0] == '#' && head[1] == '!') {
        head[strcspn(head, "\n")] = '\0';
        *next = xstrdup(interpreter_of(head));
    }
    return 0;
}

int adopt_check(const char *program, const char *path, const char *cwd, struct err *err)
{
    char *name = xstrdup(program);
    int rc = 0;

    for (int i = 0; name && rc == 0 && i <= MAX_SCRIPTS; i++) {
        _cleanup_free_ char *file = find_program(name, path, cwd);

        free(name);
        name = NULL;
        if (file)
            rc = check_file(file, &name, err);
    }
    free(name);
    return rc;
}

char *adopt_library(struct err *err)
{
    static const char *const places[] = {"../lib/pm/libpm-adopt.so", "../lib/libpm-adopt.so"};
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash;

    if (n < 0) {
        err_errno(err, "cannot find out where the daemon's program is");
        return NULL;
    }
    exe[n] = '\0';
    slash = strrchr(exe, '/');
    *slash = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s", exe, places[i]);
        char *real = realpath(file, NULL);

        if (!real)
            continue;
        if (!real[strcspn(real, ": \t")])
            return real;
        err_set(
            err, -ENOTSUP,
            "adopt does not work from the folder of %s: the loader takes no path with a space or a colon; "
            "install pm elsewhere",
            real);
        free(real);
        return NULL;
    }
    err_set(err, -ENOENT,
            "the library for adopt is missing: neither %s/%s nor %s/%s is there; install pm anew", exe,
            places[0], exe, places[1]);
    return NULL;
}
