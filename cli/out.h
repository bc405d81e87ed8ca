/* What is printed where: data and messages on stdout, errors and remarks on stderr. */
#ifndef PM_CLI_OUT_H
#define PM_CLI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/color.h"

struct buf;
struct table;

/* What a terminal may be sent: by its locale, or given. */
enum out_charset { OUT_BY_LOCALE, OUT_ASCII, OUT_UTF8 };

struct out {
    bool silent;    /* no messages */
    bool data_only; /* --json of a command that does something: nothing of what was done, but warnings */
    bool tty;       /* stdout is a terminal */
    enum out_charset charset;
    bool color;     /* stdout */
    bool err_color; /* stderr */
    int width;      /* columns of the terminal; 0 when stdout is none */
};

void out_init(struct out *o);
void out_set_flags(struct out *o, bool silent, bool no_color);

/* "[pm] …" on stdout: what was done. Nothing when silent. */
void out_say(const struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "[pm] …" on stderr: a remark beside data. Nothing when silent. */
void out_note(const struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_warn(const struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "[pm] error: …" on stderr, also when silent. Returns EXIT_FAILED's value, 1, so that it can end a command.
 */
int out_error(const struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A further line of an error, indented, made harmless. */
void out_detail(const struct out *o, const char *text);

bool out_utf8(const struct out *o); /* line-drawing characters may be used */
void out_measure(struct out *o);    /* looks at the width of the terminal again */

void out_data(const struct buf *b); /* to stdout as it is */
void out_json(const json_t *j);     /* indented, with a line break at the end */
void out_table(const struct out *o, const struct table *t);

/* Writes out what is buffered. 0, or 1 with a word on stderr when it could not be written (a full disk). */
int out_finish(const struct out *o);

#endif
