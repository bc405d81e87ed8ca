/*
 * YAML through libyaml's events. libyaml itself holds nothing but the current token, so the bounds on depth,
 * nodes and bytes stop a hostile file while it is read, not after.
 */
#include "config/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/mem.h"
#include "config/yaml_scalar.h"

#define ANCHORS_MAX 1000u /* looked up one by one, so a bound on their number is a bound on time */

struct anchor {
    char *name;
    const struct tree_node *node; /* NULL while the node is still being read */
};

struct reader {
    yaml_parser_t parser;
    struct tree *tree;
    struct diag *diag;
    const char *text;
    size_t len;
    struct anchor *anchors;
    size_t n_anchors;
    bool keys_ok; /* duplicate keys are reported and reading goes on, to find them all */
};

static struct tree_node *read_node(struct reader *r, const yaml_event_t *event, unsigned depth);

static void error_at(struct reader *r, yaml_mark_t mark, const char *what)
{
    diag_error(r->diag, (unsigned)mark.line + 1, (unsigned)mark.column + 1, "%s", what);
}

/* libyaml gives only a byte offset for bytes that are not UTF-8: count lines and characters up to it. */
static void place_of_offset(const struct reader *r, size_t offset, unsigned *line, unsigned *col)
{
    *line = *col = 1;
    for (size_t i = 0; i < offset && i < r->len; i++) {
        if (r->text[i] == '\n') {
            ++*line;
            *col = 1;
        } else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
            ++*col;
        }
    }
}

static bool stands_on_tab(const struct reader *r)
{
    size_t at = r->parser.problem_mark.index; /* in characters */

    for (size_t i = 0; i < r->len; i++) {
        if (((unsigned char)r->text[i] & 0xc0) == 0x80)
            continue;
        if (at-- == 0)
            return r->text[i] == '\t';
    }
    return false;
}

static void report_parser_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    unsigned line, col;

    /* "cannot start any token", and others: what they mean is this. */
    if (p->error == YAML_SCANNER_ERROR && stands_on_tab(r)) {
        diag_error(r->diag, (unsigned)p->problem_mark.line + 1, (unsigned)p->problem_mark.column + 1,
                   "a tab; YAML is indented by spaces");
        return;
    }
    if (p->error == YAML_READER_ERROR) {
        place_of_offset(r, p->problem_offset, &line, &col);
        if (p->problem_value == 0)
            diag_error(r->diag, line, col, "a NUL byte is not allowed in a config");
        else
            diag_error(r->diag, line, col, "bad character (0x%02x): %s", (unsigned)p->problem_value, problem);
    } else if (p->context) {
        diag_error(r->diag, (unsigned)p->problem_mark.line + 1, (unsigned)p->problem_mark.column + 1,
                   "YAML: %s (%s that starts in line %u)", problem, p->context,
                   (unsigned)p->context_mark.line + 1);
    } else {
        diag_error(r->diag, (unsigned)p->problem_mark.line + 1, (unsigned)p->problem_mark.column + 1,
                   "YAML: %s", problem);
    }
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    report_parser_error(r);
    return false;
}

static struct tree_node *new_node(struct reader *r, enum tree_kind kind, yaml_mark_t mark)
{
    struct tree_node *n = tree_node_new(r->tree, kind, (unsigned)mark.line + 1, (unsigned)mark.column + 1);

    if (!n)
        error_at(r, mark, "too many values in one config (aliases count each time they are used)");
    return n;
}

static struct anchor *find_anchor(struct reader *r, const char *name)
{
    for (size_t i = r->n_anchors; i > 0; i--) /* the latest definition counts */
        if (strcmp(r->anchors[i - 1].name, name) == 0)
            return &r->anchors[i - 1];
    return NULL;
}

/* Registered before the content is read, so that an alias to an unfinished node is seen as such. */
static bool add_anchor(struct reader *r, const yaml_char_t *name, yaml_mark_t mark, size_t *slot)
{
    if (r->n_anchors >= ANCHORS_MAX) {
        error_at(r, mark, "too many anchors in one config");
        return false;
    }
    r->anchors = xrealloc(r->anchors, (r->n_anchors + 1) * sizeof(*r->anchors));
    r->anchors[r->n_anchors].name = xstrdup((const char *)name);
    r->anchors[r->n_anchors].node = NULL;
    *slot = r->n_anchors++;
    return true;
}

static unsigned depth_of(const struct tree_node *n)
{
    unsigned deepest = 0, depth;

    for (const struct tree_node *c = n->first; c; c = c->next) {
        depth = depth_of(c);
        if (depth > deepest)
            deepest = depth;
    }
    return deepest + 1;
}

static struct tree_node *read_alias(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct anchor *anchor = find_anchor(r, name);
    struct tree_node *copy;
    char quoted[QUOTE_MAX];
    yaml_mark_t mark = event->start_mark;

    if (!anchor) {
        diag_error(r->diag, (unsigned)mark.line + 1, (unsigned)mark.column + 1,
                   "no anchor %s was defined before this alias", diag_quote(quoted, name));
        return NULL;
    }
    if (!anchor->node) {
        error_at(r, mark, "an alias inside the very value that it names");
        return NULL;
    }
    if (depth + depth_of(anchor->node) > TREE_DEPTH_MAX + 1) {
        error_at(r, mark, "nested too deep");
        return NULL;
    }
    copy = tree_copy(r->tree, anchor->node);
    if (!copy)
        error_at(r, mark, "too many values in one config (aliases count each time they are used)");
    else
        copy->anchored = true;
    return copy;
}

static struct tree_node *read_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    const char *tag = (const char *)event->data.scalar.tag;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    enum tree_kind kind = plain ? yaml_scalar_kind(text) : TREE_STRING;
    struct tree_node *n;

    if (memchr(text, '\0', len)) {
        error_at(r, event->start_mark, "a NUL character is not allowed in a value");
        return NULL;
    }
    if (tag && !yaml_scalar_tagged_kind(tag, text, &kind)) {
        char quoted[QUOTE_MAX];

        diag_error(r->diag, (unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1,
                   "the tag %s is not known or does not fit its value", diag_quote(quoted, tag));
        return NULL;
    }
    n = new_node(r, kind, event->start_mark);
    if (!n)
        return NULL;
    n->text = tree_text(r->tree, text, len);
    if (!n->text) {
        error_at(r, event->start_mark, "too much text in one config");
        return NULL;
    }
    return n;
}

static bool read_list(struct reader *r, struct tree_node *list, unsigned depth)
{
    yaml_event_t event;
    struct tree_node *item;

    while (next_event(r, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        item = read_node(r, &event, depth + 1);
        yaml_event_delete(&event);
        if (!item)
            return false;
        tree_append(list, item);
    }
    return false;
}

static bool take_key(struct reader *r, const yaml_event_t *event, const char **key, bool *merge)
{
    const char *text = (const char *)event->data.scalar.value;

    if (event->type != YAML_SCALAR_EVENT) {
        error_at(r, event->start_mark, "a key must be a plain word or text");
        return false;
    }
    if (memchr(text, '\0', event->data.scalar.length)) {
        error_at(r, event->start_mark, "a NUL character is not allowed in a key");
        return false;
    }
    *key = tree_text(r->tree, text, event->data.scalar.length);
    if (!*key) {
        error_at(r, event->start_mark, "too much text in one config");
        return false;
    }
    *merge = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0;
    return true;
}

static bool read_pair(struct reader *r, struct tree_node *map, const yaml_event_t *key_event, unsigned depth)
{
    yaml_event_t event;
    struct tree_node *value;
    const char *key;
    bool merge;

    if (!take_key(r, key_event, &key, &merge) || !next_event(r, &event))
        return false;
    value = read_node(r, &event, depth + 1);
    yaml_event_delete(&event);
    if (!value)
        return false;
    value->key = key;
    value->key_line = (unsigned)key_event->start_mark.line + 1;
    value->key_col = (unsigned)key_event->start_mark.column + 1;
    value->key_merge = merge;
    tree_append(map, value);
    return true;
}

static bool read_map(struct reader *r, struct tree_node *map, unsigned depth)
{
    yaml_event_t event;
    bool ok;

    while (next_event(r, &event)) {
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            if (!tree_check_keys(map, r->diag))
                r->keys_ok = false;
            return yaml_merge_keys(r->tree, map, r->diag);
        }
        ok = read_pair(r, map, &event, depth);
        yaml_event_delete(&event);
        if (!ok)
            return false;
    }
    return false;
}

static struct tree_node *read_collection(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const char *core = list ? YAML_SEQ_TAG : YAML_MAP_TAG;
    struct tree_node *n;

    if (depth > TREE_DEPTH_MAX) {
        error_at(r, event->start_mark, "nested too deep");
        return NULL;
    }
    if (tag && strcmp((const char *)tag, core) != 0) {
        char quoted[QUOTE_MAX];

        diag_error(r->diag, (unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1,
                   "the tag %s is not known", diag_quote(quoted, (const char *)tag));
        return NULL;
    }
    n = new_node(r, list ? TREE_LIST : TREE_MAP, event->start_mark);
    if (!n)
        return NULL;
    return (list ? read_list(r, n, depth) : read_map(r, n, depth)) ? n : NULL;
}

/* The node that begins with this event; NULL after an error, which has been reported. */
static struct tree_node *read_node(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    const yaml_char_t *anchor = NULL;
    struct tree_node *n;
    size_t slot = 0;

    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(r, event, depth);
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor;
    if (anchor && !add_anchor(r, anchor, event->start_mark, &slot))
        return NULL;
    n = event->type == YAML_SCALAR_EVENT ? read_scalar(r, event) : read_collection(r, event, depth);
    if (n && anchor) {
        n->anchored = true;
        r->anchors[slot].node = n;
    }
    return n;
}

/* Stream start, one document, stream end. */
static bool read_stream(struct reader *r)
{
    struct tree_node *root = NULL;
    yaml_event_t event;
    bool done = false;

    while (!done) {
        if (!next_event(r, &event))
            return false;
        if (event.type == YAML_DOCUMENT_START_EVENT && root) {
            error_at(r, event.start_mark, "a second YAML document; put all apps under one \"apps:\" list");
            yaml_event_delete(&event);
            return false;
        }
        if (event.type == YAML_STREAM_END_EVENT) {
            done = true;
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
                   event.type != YAML_DOCUMENT_END_EVENT) {
            root = read_node(r, &event, 1);
            done = !root;
        }
        yaml_event_delete(&event);
        if (done && !root && r->diag->n_errors)
            return false;
    }
    if (!root) {
        diag_error(r->diag, 1, 1, "the config is empty");
        return false;
    }
    r->tree->root = root;
    return r->keys_ok;
}

int yaml_read(struct tree *t, const char *text, size_t len, struct diag *d)
{
    struct reader r = {.tree = t, .diag = d, .text = text, .len = len, .keys_ok = true};
    bool ok;

    if (len > TREE_INPUT_MAX) {
        diag_error(d, 0, 0, "larger than %u MiB", TREE_INPUT_MAX >> 20);
        return -EINVAL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        diag_error(d, 0, 0, "out of memory");
        return -EINVAL;
    }
    /* Always UTF-8, whatever a byte order mark says; then libyaml does not skip it either. */
    if (r.len >= 3 && memcmp(r.text, "\xef\xbb\xbf", 3) == 0) {
        r.text += 3;
        r.len -= 3;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.len);
    ok = read_stream(&r);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.n_anchors; i++)
        free(r.anchors[i].name);
    free(r.anchors);
    if (!ok)
        t->root = NULL;
    return ok ? 0 : -EINVAL;
}
