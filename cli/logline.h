/* One line of a log, as it is shown. */
#ifndef PM_CLI_LOGLINE_H
#define PM_CLI_LOGLINE_H

#include <jansson.h>
#include <stdbool.h>

struct buf;

enum logline_form {
    LOGLINE_PREFIXED, /* id|name | text */
    LOGLINE_RAW,      /* the bytes */
    LOGLINE_JSON, /* PM2's {message, timestamp, type, process_id, app_name}, and instance, run, time (µs),
                     level? */
    LOGLINE_WORDS /* timestamp=... app=... id=... type=out|error message=... */
};

struct logline_style {
    enum logline_form form;
    bool terminal;           /* control characters are made visible; otherwise the bytes pass */
    bool color;              /* prefix by process, red for the error stream; the line's own colours pass */
    int label_width;         /* of "id|name", so that the texts stand in one column */
    int label_max;           /* longer ones are cut; 0 = never */
    const char *time_format; /* local time before the text, in the tokens of log_date.h; NULL = none */
    const char *highlight;   /* a word that stands out where it occurs; NULL = none */
};

/* Columns of a record's "id|name", at most LOGLINE_LABEL_MAX. */
#define LOGLINE_LABEL_MAX 40
int logline_label_width(const json_t *line);

/* Appends the line with its "\n". `line` is {time, id, name, instance, run, stream, text | base64}. */
void logline_render(struct buf *out, const json_t *line, const struct logline_style *style);

/* Decodes base64 and appends the bytes; what follows a wrong character is left out. */
void logline_base64(struct buf *out, const char *text);

#endif
