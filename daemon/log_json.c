#include "daemon/log_json.h"

#include <stdio.h>
#include <time.h>

#include "common/jsonw.h"
#include "daemon/log_int.h"

/* UTC, as PM2 writes it: "2025-10-18T14:03:22.123Z". */
static void iso_time(uint64_t time_us, char out[LOG_DATE_MAX])
{
    time_t t = (time_t)(time_us / 1000000);
    struct tm tm = {0};
    size_t n;

    gmtime_r(&t, &tm);
    n = strftime(out, LOG_DATE_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, LOG_DATE_MAX - n, ".%03uZ", (unsigned)(time_us / 1000 % 1000));
}

void log_json_date(struct log_stream *s, uint64_t time_us, char out[LOG_DATE_MAX])
{
    if (s->date_format)
        log_date_render(&s->date, time_us, out);
    else
        iso_time(time_us, out);
}

void log_json_line(struct buf *out, const struct log_stream *s, const char *date, const char *text,
                   size_t len, unsigned flags)
{
    struct jsonw w = jsonw_init(out);

    jsonw_obj_begin(&w);
    jsonw_key(&w, "message");
    jsonw_strn(&w, text, len);
    jsonw_kstr(&w, "timestamp", date);
    jsonw_kstr(&w, "type", s->kind == LOG_ERR ? "err" : "out");
    jsonw_kuint(&w, "process_id", s->process);
    jsonw_kstr(&w, "app_name", s->app);
    if (flags & LOG_F_PARTIAL)
        jsonw_kbool(&w, "partial", true);
    if (flags & LOG_F_DROPPED)
        jsonw_kbool(&w, "dropped", true);
    jsonw_obj_end(&w);
    buf_putc(out, '\n');
}
