/*
 * JSON as people write it: comments and trailing commas are accepted. A reader of our own, because a config
 * error needs the exact place, and every value keeps its source text.
 */
#include "config/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "config/values.h"

struct reader {
    const char *p, *end;
    unsigned line, col;
    struct tree *tree;
    struct diag *diag;
    bool keys_ok;
    bool syntax; /* the text is no JSON, but it may be something else */
};

static struct tree_node *read_value(struct reader *r, unsigned depth);

static bool more(const struct reader *r)
{
    return r->p < r->end;
}

static char peek(const struct reader *r)
{
    return more(r) ? *r->p : '\0';
}

/* One byte further; columns count characters, so continuation bytes do not move them. */
static void advance(struct reader *r)
{
    unsigned char c = (unsigned char)*r->p++;

    if (c == '\n') {
        r->line++;
        r->col = 1;
    } else if (!more(r) || ((unsigned char)*r->p & 0xc0) != 0x80) {
        r->col++;
    }
}

/* JSON, but not as a config may have it. */
static void *refuse(struct reader *r, const char *what)
{
    if (more(r))
        diag_error(r->diag, r->line, r->col, "JSON: %s", what);
    else
        diag_error(r->diag, r->line, r->col, "JSON: the file ends here, %s", what);
    return NULL;
}

static void *fail(struct reader *r, const char *what)
{
    r->syntax = true;
    return refuse(r, what);
}

static bool skip_comment(struct reader *r)
{
    unsigned line = r->line, col = r->col;

    if (r->end - r->p >= 2 && r->p[1] == '/') {
        while (more(r) && peek(r) != '\n')
            advance(r);
        return true;
    }
    if (r->end - r->p >= 2 && r->p[1] == '*') {
        advance(r);
        advance(r);
        while (r->end - r->p >= 2 && !(r->p[0] == '*' && r->p[1] == '/'))
            advance(r);
        if (r->end - r->p >= 2) {
            advance(r);
            advance(r);
            return true;
        }
        diag_error(r->diag, line, col, "JSON: this comment never ends");
        return false;
    }
    fail(r, "unexpected \"/\"");
    return false;
}

static bool skip_space(struct reader *r)
{
    while (more(r)) {
        char c = peek(r);

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            advance(r);
        else if (c != '/')
            return true;
        else if (!skip_comment(r))
            return false;
    }
    return true;
}

static int hex4(struct reader *r)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = peek(r);

        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
        advance(r);
    }
    return value;
}

static void put_utf8(struct buf *out, unsigned c)
{
    char b[4];
    size_t n = 0;

    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xc0 | (c >> 6));
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        b[n++] = (char)(0xe0 | (c >> 12));
        b[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        b[n++] = (char)(0xf0 | (c >> 18));
        b[n++] = (char)(0x80 | ((c >> 12) & 0x3f));
        b[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    }
    buf_append(out, b, n);
}

/* After "\u": one unit, or two that make a surrogate pair. */
static bool read_unicode(struct reader *r, struct buf *out)
{
    int high = hex4(r), low;

    if (high < 0)
        return fail(r, "\\u needs four hexadecimal digits");
    if (high == 0)
        return refuse(r, "a NUL character is not allowed in a value");
    if (high >= 0xdc00 && high < 0xe000)
        return refuse(r, "half a surrogate pair before this");
    if (high >= 0xd800 && high < 0xdc00) {
        if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
            return refuse(r, "half a surrogate pair before this");
        advance(r);
        advance(r);
        low = hex4(r);
        if (low < 0xdc00 || low >= 0xe000)
            return refuse(r, "half a surrogate pair before this");
        put_utf8(out, 0x10000u + (((unsigned)high - 0xd800u) << 10) + ((unsigned)low - 0xdc00u));
        return true;
    }
    put_utf8(out, (unsigned)high);
    return true;
}

static bool read_escape(struct reader *r, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;
    char c;

    advance(r);
    c = peek(r);
    if (c == 'u') {
        advance(r);
        return read_unicode(r, out);
    }
    at = c ? strchr(from, c) : NULL;
    if (!at)
        return refuse(r, "unknown escape after \"\\\"");
    buf_putc(out, to[at - from]);
    advance(r);
    return true;
}

/* The text of a string that begins here, owned by the tree. */
static const char *read_string(struct reader *r)
{
    struct buf out = {0};
    unsigned line = r->line, col = r->col;
    const char *text = NULL;
    bool ok = true;

    advance(r);
    while (ok && more(r) && peek(r) != '"') {
        unsigned char c = (unsigned char)peek(r);
        const char *run = r->p;

        if (c == '\\') {
            ok = read_escape(r, &out);
        } else if (c == '\n' || c == '\r') {
            diag_error(r->diag, line, col, "JSON: this text has no closing quote in its line");
            r->syntax = true;
            ok = false;
        } else if (c < 0x20 && c != '\t') {
            ok = refuse(r, "a control character must be written as \\u....");
        } else {
            advance(r);
            buf_append(&out, run, 1);
        }
    }
    if (ok && !more(r)) {
        diag_error(r->diag, line, col, "JSON: this text has no closing quote");
        ok = false;
    }
    if (ok) {
        advance(r);
        text = tree_text(r->tree, out.data ? out.data : "", out.len);
        if (!text)
            diag_error(r->diag, line, col, "too much text in one config");
    }
    buf_free(&out);
    return text;
}

static struct tree_node *new_node(struct reader *r, enum tree_kind kind)
{
    struct tree_node *n = tree_node_new(r->tree, kind, r->line, r->col);

    if (!n)
        diag_error(r->diag, r->line, r->col, "too many values in one config");
    return n;
}

static size_t skip_digits(struct reader *r)
{
    size_t n = 0;

    while (peek(r) >= '0' && peek(r) <= '9') {
        advance(r);
        n++;
    }
    return n;
}

static struct tree_node *read_number(struct reader *r)
{
    const char *start = r->p;
    struct tree_node *n = new_node(r, TREE_INT);
    bool ok, zero;

    if (!n)
        return NULL;
    if (peek(r) == '-')
        advance(r);
    zero = peek(r) == '0';
    if (zero)
        advance(r);
    ok = skip_digits(r) > 0 ? !zero : zero;
    if (ok && peek(r) == '.') {
        n->kind = TREE_FLOAT;
        advance(r);
        ok = skip_digits(r) > 0;
    }
    if (ok && (peek(r) == 'e' || peek(r) == 'E')) {
        n->kind = TREE_FLOAT;
        advance(r);
        if (peek(r) == '+' || peek(r) == '-')
            advance(r);
        ok = skip_digits(r) > 0;
    }
    if (!ok) {
        diag_error(r->diag, n->line, n->col, "JSON: not a number");
        return NULL;
    }
    n->text = tree_text(r->tree, start, (size_t)(r->p - start));
    return n->text ? n : refuse(r, "too much text in one config");
}

static struct tree_node *read_word(struct reader *r)
{
    static const struct {
        const char *word;
        enum tree_kind kind;
    } words[] = {{"true", TREE_BOOL}, {"false", TREE_BOOL}, {"null", TREE_NULL}};
    struct tree_node *n;
    size_t len = 0, left = (size_t)(r->end - r->p);

    while (len < left && ((r->p[len] | 0x20) >= 'a' && (r->p[len] | 0x20) <= 'z'))
        len++;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len != strlen(words[i].word) || memcmp(r->p, words[i].word, len) != 0)
            continue;
        n = new_node(r, words[i].kind);
        if (!n)
            return NULL;
        n->text = words[i].word;
        for (size_t k = 0; k < len; k++)
            advance(r);
        return n;
    }
    if (peek(r) == '\'')
        return fail(r, "text must stand in double quotes");
    return fail(r, "expected a value: text in double quotes, a number, true, false, null, [ or {");
}

/* After a value in a list or map: the comma, or the closing bracket (also after a trailing comma). */
static bool after_item(struct reader *r, char close)
{
    if (!skip_space(r))
        return false;
    if (peek(r) == ',' && more(r)) {
        advance(r);
        return skip_space(r);
    }
    if (peek(r) == close)
        return true;
    return fail(r, close == '}' ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
}

static bool read_member(struct reader *r, struct tree_node *map, unsigned depth)
{
    unsigned line = r->line, col = r->col;
    struct tree_node *value;
    const char *key;

    if (peek(r) != '"')
        return fail(r, "expected a key in double quotes");
    key = read_string(r);
    if (!key || !skip_space(r))
        return false;
    if (peek(r) != ':')
        return fail(r, "expected \":\" after the key");
    advance(r);
    value = read_value(r, depth + 1);
    if (!value)
        return false;
    value->key = key;
    value->key_line = line;
    value->key_col = col;
    tree_append(map, value);
    return true;
}

static struct tree_node *read_container(struct reader *r, unsigned depth)
{
    char close = peek(r) == '{' ? '}' : ']';
    struct tree_node *n, *item;

    if (depth > TREE_DEPTH_MAX)
        return refuse(r, "nested too deep");
    n = new_node(r, close == '}' ? TREE_MAP : TREE_LIST);
    if (!n)
        return NULL;
    advance(r);
    if (!skip_space(r))
        return NULL;
    while (peek(r) != close) {
        if (close == '}') {
            if (!read_member(r, n, depth))
                return NULL;
        } else {
            item = read_value(r, depth + 1);
            if (!item)
                return NULL;
            tree_append(n, item);
        }
        if (!after_item(r, close))
            return NULL;
    }
    advance(r);
    if (close == '}' && !tree_check_keys(n, r->diag))
        r->keys_ok = false;
    return n;
}

static struct tree_node *read_value(struct reader *r, unsigned depth)
{
    struct tree_node *n;
    char c;

    if (!skip_space(r))
        return NULL;
    c = peek(r);
    if (c == '{' || c == '[')
        return read_container(r, depth);
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(r);
    if (c != '"')
        return read_word(r);
    n = new_node(r, TREE_STRING);
    if (n)
        n->text = read_string(r);
    return n && n->text ? n : NULL;
}

/* Bytes that are not UTF-8 and NULs are refused before anything else, wherever they stand. */
static bool check_bytes(struct reader *r)
{
    size_t bad = value_utf8_prefix(r->p, (size_t)(r->end - r->p));
    const char *nul = memchr(r->p, '\0', bad), *stop = nul ? nul : r->p + bad;
    struct reader at = *r;

    if (stop == r->end)
        return true;
    while (at.p < stop)
        advance(&at);
    if (nul)
        diag_error(r->diag, at.line, at.col, "a NUL byte is not allowed in a config");
    else
        diag_error(r->diag, at.line, at.col, "bad character (0x%02x): not UTF-8", (unsigned char)*stop);
    return false;
}

int json_read(struct tree *t, const char *text, size_t len, struct diag *d)
{
    struct reader r = {
        .p = text, .end = text + len, .line = 1, .col = 1, .tree = t, .diag = d, .keys_ok = true};
    struct tree_node *root;

    if (len > TREE_INPUT_MAX) {
        diag_error(d, 0, 0, "larger than %u MiB", TREE_INPUT_MAX >> 20);
        return -EINVAL;
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r.p += 3;
    if (!check_bytes(&r))
        return -EINVAL;
    if (!skip_space(&r))
        return r.syntax ? -EBADMSG : -EINVAL;
    if (!more(&r)) {
        diag_error(d, 1, 1, "the config is empty");
        return -EINVAL;
    }
    root = read_value(&r, 1);
    if (root && skip_space(&r) && more(&r))
        fail(&r, "expected nothing after the closing bracket");
    if (r.syntax)
        return -EBADMSG;
    if (!root || more(&r) || !r.keys_ok)
        return -EINVAL;
    t->root = root;
    return 0;
}
