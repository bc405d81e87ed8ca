/* Which programs the library for `adopt` is of no use to: on fabricated ELF files and scripts. */
#include "unit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "daemon/adopt_check.h"

#define GLIBC "/lib64/ld-linux-x86-64.so.2"

static char dir[64];
static struct err err;

/* A program with a PT_INTERP, a PT_NOTE and a section, each when it is wanted. */
struct fake {
    const char *loader;  /* NULL: static */
    const char *section; /* a section's name */
    const char *note;    /* owner of a note, four bytes with its end */
    int class;           /* 0: as this test */
    int machine;
    size_t cut; /* so many bytes only; 0: all */
};

struct image {
    ElfW(Ehdr) head;
    ElfW(Phdr) seg[2];
    ElfW(Shdr) sec[2];
    ElfW(Nhdr) note;
    char owner[4];
    char loader[64];
    char names[64];
};

static char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t len, mode_t mode)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void script(const char *name, const char *text)
{
    write_file(name, text, strlen(text), 0755);
}

static struct image image_of(const struct fake *f)
{
    struct image i = {0};
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, &i.head, sizeof(i.head)), sizeof(i.head));
    close(fd);
    if (f->class)
        i.head.e_ident[EI_CLASS] = (unsigned char)f->class;
    if (f->machine)
        i.head.e_machine = (ElfW(Half))f->machine;
    i.head.e_phoff = offsetof(struct image, seg);
    i.head.e_phentsize = sizeof(i.seg[0]);
    i.head.e_phnum = 2;
    i.head.e_shoff = offsetof(struct image, sec);
    i.head.e_shentsize = sizeof(i.sec[0]);
    i.head.e_shnum = f->section ? 2 : 0;
    i.head.e_shstrndx = 0;
    if (f->loader) {
        i.seg[0] = (ElfW(Phdr)){.p_type = PT_INTERP,
                                .p_offset = offsetof(struct image, loader),
                                .p_filesz = strlen(f->loader) + 1};
        snprintf(i.loader, sizeof(i.loader), "%s", f->loader);
    }
    if (f->note) {
        i.seg[1] = (ElfW(Phdr)){.p_type = PT_NOTE,
                                .p_offset = offsetof(struct image, note),
                                .p_filesz = sizeof(i.note) + sizeof(i.owner)};
        i.note = (ElfW(Nhdr)){.n_namesz = sizeof(i.owner), .n_type = 4};
        snprintf(i.owner, sizeof(i.owner), "%s", f->note);
    }
    if (f->section) {
        i.sec[0] = (ElfW(Shdr)){
            .sh_name = 0, .sh_offset = offsetof(struct image, names), .sh_size = sizeof(i.names)};
        i.sec[1] = (ElfW(Shdr)){.sh_name = 1};
        snprintf(i.names + 1, sizeof(i.names) - 1, "%s", f->section);
    }
    return i;
}

static void elf(const char *name, const struct fake *f, mode_t mode)
{
    struct image i = image_of(f);

    write_file(name, &i, f->cut ? f->cut : sizeof(i), mode);
}

static int setup(void **state)
{
    (void)state;
    err = (struct err){0};
    strcpy(dir, "/tmp/pm-adopt-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static int check(const char *name)
{
    return adopt_check(name, dir, dir, &err);
}

static void expect_refused(const char *name, const char *word)
{
    err = (struct err){0};
    assert_int_equal(check(name), -ENOTSUP);
    if (!strstr(err.msg, word))
        fail_msg("%s: %s", word, err.msg);
}

static void test_accepts(void **state)
{
    (void)state;
    elf("plain", &(struct fake){.loader = GLIBC}, 0755);
    elf("nix", &(struct fake){.loader = "/nix/store/x-glibc-2.40/lib/ld-linux-x86-64.so.2"}, 0755);
    elf("named", &(struct fake){.loader = GLIBC, .section = ".text", .note = "GNU"}, 0755);
    assert_int_equal(check("plain"), 0);
    assert_int_equal(check("nix"), 0);
    assert_int_equal(check("named"), 0);
    assert_int_equal(check("/proc/self/exe"), 0);
    assert_int_equal(adopt_check("sh", NULL, "/", &err), 0);
}

static void test_refuses_by_its_kind(void **state)
{
    (void)state;
    elf("static", &(struct fake){0}, 0755);
    elf("musl", &(struct fake){.loader = "/lib/ld-musl-x86_64.so.1"}, 0755);
    elf("go", &(struct fake){.section = ".go.buildinfo"}, 0755);
    elf("cgo", &(struct fake){.loader = GLIBC, .section = ".note.go.buildid"}, 0755);
    elf("stripped", &(struct fake){.loader = GLIBC, .note = "Go"}, 0755);
    elf("narrow", &(struct fake){.loader = GLIBC, .class = ELFCLASS32}, 0755);
    elf("foreign", &(struct fake){.loader = GLIBC, .machine = EM_SPARC}, 0755);
    expect_refused("static", "static program");
    expect_refused("musl", "another libc than glibc (/lib/ld-musl-x86_64.so.1)");
    expect_refused("go", "Go program");
    expect_refused("cgo", "Go program");
    expect_refused("stripped", "Go program");
    expect_refused("narrow", "another kind of processor");
    expect_refused("foreign", "another kind of processor");
}

static void test_refuses_other_rights(void **state)
{
    /* Version 2, effective: cap_net_bind_service */
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 4};

    (void)state;
    elf("setuid", &(struct fake){.loader = GLIBC}, 04755);
    elf("setgid", &(struct fake){.loader = GLIBC}, 02755);
    expect_refused("setuid", "setuid program");
    expect_refused("setgid", "setgid program");
    elf("caps", &(struct fake){.loader = GLIBC}, 0755);
    if (setxattr(path_of("caps"), "security.capability", cap, sizeof(cap), 0) == 0)
        expect_refused("caps", "file capabilities");
}

static void test_follows_scripts(void **state)
{
    char text[128];

    (void)state;
    elf("go", &(struct fake){.section = ".go.buildinfo"}, 0755);
    elf("plain", &(struct fake){.loader = GLIBC}, 0755);
    snprintf(text, sizeof(text), "#! %s/go -x\n", dir);
    script("one", text);
    snprintf(text, sizeof(text), "#!%s/one\n", dir);
    script("two", text);
    script("env", "#!/usr/bin/env go\n");
    script("env_split", "#!/usr/bin/env -S A=1 go --flag\n");
    script("env_plain", "#!/usr/bin/env plain");
    snprintf(text, sizeof(text), "#!%s/loop\n", dir);
    script("loop", text);
    expect_refused("one", "/go: it is a Go program");
    expect_refused("two", "Go program");
    expect_refused("./two", "Go program");
    expect_refused("env", "Go program");
    expect_refused("env_split", "Go program");
    assert_int_equal(check("env_plain"), 0);
    assert_int_equal(check("loop"), 0);
}

/* The start itself has the word for these. */
static void test_leaves_the_rest(void **state)
{
    (void)state;
    script("empty", "");
    script("nothing", "#!");
    script("blank", "#!   \nx");
    script("env_nothing", "#!/usr/bin/env\n");
    script("text", "hello, world");
    elf("cut", &(struct fake){.loader = GLIBC, .cut = 20}, 0755);
    assert_int_equal(mkfifo(path_of("pipe"), 0755), 0);
    assert_int_equal(check("empty"), 0);
    assert_int_equal(check("nothing"), 0);
    assert_int_equal(check("blank"), 0);
    assert_int_equal(check("env_nothing"), 0);
    assert_int_equal(check("text"), 0);
    assert_int_equal(check("cut"), 0);
    assert_int_equal(check("./pipe"), 0);
    assert_int_equal(check("missing"), 0);
    assert_int_equal(check("/"), 0);
}

/* Every cut of a program, and wild numbers in its header: a word or none, never a fault. */
static void test_bears_damage(void **state)
{
    struct fake f = {.loader = GLIBC, .section = ".text", .note = "GNU"};
    struct image i;

    (void)state;
    for (f.cut = 1; f.cut < sizeof(i); f.cut += 7) {
        elf("cut", &f, 0755);
        check("cut");
    }
    for (size_t at = EI_NIDENT; at < offsetof(struct image, loader); at++) {
        i = image_of(&f);
        memset((char *)&i + at, 0xff, at + 8 <= offsetof(struct image, loader) ? 8 : 1);
        write_file("wild", &i, sizeof(i), 0755);
        check("wild");
    }
}

static void test_finds_the_library(void **state)
{
    char *file = adopt_library(&err);

    (void)state;
    assert_non_null(file); /* the tests lie beside it as the daemon does */
    assert_int_equal(access(file, R_OK), 0);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_by_its_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_other_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follows_scripts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaves_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bears_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finds_the_library, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
