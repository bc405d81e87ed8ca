// The HTTP/1.1 answers that the load client understands: a status line, headers, and a body by
// Content-Length, in chunks, or until the end of the connection. Answers are small and wholly in memory, so
// each is parsed anew when more of it has come.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum answer_state { ANSWER_PARTIAL, ANSWER_WHOLE, ANSWER_BAD };

struct answer {
    int status;
    bool close;        // the server closes the connection after it
    char body[128];    // as much of the body as fits, a string
    size_t body_len;   // of all of it
    const char *wrong; // ANSWER_BAD: what
};

static inline enum answer_state answer_bad(struct answer *a, const char *wrong)
{
    a->wrong = wrong;
    return ANSWER_BAD;
}

static inline void answer_add_body(struct answer *a, const char *data, size_t len)
{
    if (a->body_len < sizeof(a->body) - 1) {
        size_t room = sizeof(a->body) - 1 - a->body_len;
        memcpy(a->body + a->body_len, data, len < room ? len : room);
    }
    a->body_len += len;
}

// The value of a header when this line (up to `end`) is that header, else NULL.
static inline const char *header_value(const char *line, const char *end, const char *name)
{
    size_t len = strlen(name);
    if ((size_t)(end - line) <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    for (line += len + 1; line < end && *line == ' ';)
        line++;
    return line;
}

static inline enum answer_state answer_chunks(struct answer *a, const char *at, const char *end)
{
    for (;;) {
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (line_end == NULL)
            return ANSWER_PARTIAL;
        char *after;
        unsigned long size = strtoul(at, &after, 16);
        if (after == at || size > (1UL << 20))
            return answer_bad(a, "the size of a chunk");
        at = line_end + 2;
        if ((size_t)(end - at) < size + 2)
            return ANSWER_PARTIAL;
        if (memcmp(at + size, "\r\n", 2) != 0)
            return answer_bad(a, "the end of a chunk");
        if (size == 0)
            return ANSWER_WHOLE;
        answer_add_body(a, at, size);
        at += size + 2;
    }
}

// `data` must be followed by a NUL. `eof`: nothing more will come.
static inline enum answer_state answer_parse(const char *data, size_t len, bool eof, struct answer *a)
{
    memset(a, 0, sizeof(*a));
    const char *head_end = memmem(data, len, "\r\n\r\n", 4);
    if (head_end == NULL)
        return ANSWER_PARTIAL;
    if (strncmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ')
        return answer_bad(a, "the status line");
    a->status = atoi(data + 9);
    a->close = data[7] == '0';
    long long length = -1;
    bool chunked = false;
    for (const char *line = strchr(data, '\n') + 1; line < head_end + 2;) {
        const char *line_end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        const char *value;
        if ((value = header_value(line, line_end, "content-length")) != NULL)
            length = atoll(value);
        else if ((value = header_value(line, line_end, "transfer-encoding")) != NULL)
            chunked = strncasecmp(value, "chunked", 7) == 0;
        else if ((value = header_value(line, line_end, "connection")) != NULL)
            a->close = strncasecmp(value, "close", 5) == 0;
        line = line_end + 2;
    }
    const char *body = head_end + 4;
    size_t have = len - (size_t)(body - data);
    if (chunked)
        return answer_chunks(a, body, data + len);
    if (length >= 0) {
        if (have < (size_t)length)
            return ANSWER_PARTIAL;
        if (have > (size_t)length)
            return answer_bad(a, "more bytes than Content-Length says");
    } else {
        a->close = true;
        if (!eof)
            return ANSWER_PARTIAL;
    }
    answer_add_body(a, body, have);
    return ANSWER_WHOLE;
}
