/*
 * Memory for the engine and the CLI. Running out of it ends the program with a word on stderr: the keeper
 * then starts a new engine, which continues where the old one was. The keeper itself does not use these.
 */
#ifndef PM_COMMON_MEM_H
#define PM_COMMON_MEM_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A NULL-terminated list of strings, all on the heap. */
size_t strv_len(char *const *v);       /* 0 for NULL */
void strv_push(char ***v, char *take); /* takes ownership of the string */
char **strv_dup(char *const *v);       /* never NULL */
void strv_free(char **v);              /* accepts NULL */

static inline void cleanup_free_(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close_(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define _cleanup_free_  __attribute__((cleanup(cleanup_free_)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close_)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
