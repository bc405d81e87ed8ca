#include "config/format.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "config/js_eval.h"
#include "config/tree_path.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

enum config_format format_of_name(const char *path)
{
    static const struct {
        const char *end;
        enum config_format format;
    } names[] = {
        {".yaml", CONFIG_YAML},    {".yml", CONFIG_YAML},      {".json", CONFIG_JSON},
        {".config.js", CONFIG_JS}, {".config.cjs", CONFIG_JS}, {".config.mjs", CONFIG_JS},
    };
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (ends_with(base, names[i].end))
            return names[i].format;
    return CONFIG_UNKNOWN;
}

bool config_is_file_name(const char *path)
{
    return format_of_name(path) != CONFIG_UNKNOWN;
}

const char *const *config_default_names(void)
{
    static const char *const names[] = {"ecosystem.config.js",
                                        "ecosystem.config.cjs",
                                        "ecosystem.config.mjs",
                                        "ecosystem.yaml",
                                        "ecosystem.yml",
                                        "ecosystem.json",
                                        NULL};

    return names;
}

/* What node has printed, with the ways through it as places. */
static int read_printed(struct tree *t, const struct buf *json, struct diag *d)
{
    tree_deinit(t);
    diag_clear(d);
    if (json_read(t, json->data, json->len, d) < 0) {
        diag_drop_places(d);
        return -EINVAL;
    }
    tree_number(t->root);
    d->numbered = t->root;
    return 0;
}

static enum js_outcome evaluate(const struct config_ctx *ctx, const struct config_text *text, bool as_file,
                                struct js_result *result)
{
    struct js_input in = {.path = text->path, .folder = text->folder, .environ = ctx->environ};

    if (!as_file) {
        in.text = text->text;
        in.len = text->len;
    }
    return js_eval(&in, result);
}

/* Takes the place of whatever errors `d` holds. */
static int read_js(struct tree *t, const struct config_ctx *ctx, const struct config_text *text, bool as_file,
                   struct diag *d)
{
    struct js_result result;
    enum js_outcome outcome = evaluate(ctx, text, as_file, &result);
    int r = -EINVAL;

    diag_clear(d);
    if (outcome == JS_VALUE)
        r = read_printed(t, &result.json, d);
    else
        diag_error(d, result.line, result.col, "%s", result.msg);
    js_result_deinit(&result);
    return r;
}

/*
 * JSON, and when that fails in its syntax the same text as JavaScript: many people's .json files have
 * unquoted keys or single quotes in them. A text that is neither gets the errors of the JSON reader, which
 * tell every place. -EBADMSG: it is neither, with those errors.
 */
static int read_json(struct tree *t, const struct config_ctx *ctx, const struct config_text *text,
                     struct diag *d)
{
    struct js_result result;
    enum js_outcome outcome;
    int r = json_read(t, text->text, text->len, d);

    if (r != -EBADMSG)
        return r;
    outcome = evaluate(ctx, text, false, &result);
    if (outcome == JS_VALUE) {
        r = read_printed(t, &result.json, d);
    } else if (outcome == JS_THREW) {
        diag_clear(d);
        diag_error(d, result.line, result.col, "%s", result.msg);
        r = -EBADMSG;
    } else if (outcome == JS_TROUBLE) {
        diag_error(d, 0, 0, "it is not JSON, and trying it as JavaScript failed: %s", result.msg);
    }
    js_result_deinit(&result);
    return r;
}

static const char *skip_words(const char *p, const char *end)
{
    static const char bom[] = "\xef\xbb\xbf";

    if (end - p >= 3 && memcmp(p, bom, 3) == 0)
        p += 3;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    return p;
}

static bool begins_like_js(const char *p, size_t len)
{
    static const char *const words[] = {"module.exports", "const ",         "let ", "var ",
                                        "'use strict'",   "\"use strict\"", "//",   "/*"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (len >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* No name tells the language. A bracket may begin JSON, JavaScript or YAML's own short form. */
static int read_unknown(struct tree *t, const struct config_ctx *ctx, const struct config_text *text,
                        struct diag *d)
{
    const char *end = text->text + text->len, *p = skip_words(text->text, end);
    bool bracket = p < end && (*p == '{' || *p == '['), js = begins_like_js(p, (size_t)(end - p));
    struct diag other = {.file = d->file};
    int r;

    if (!bracket && !js)
        return yaml_read(t, text->text, text->len, d);
    if (js) {
        r = json_read(t, text->text, text->len, d);
        return r == -EBADMSG ? read_js(t, ctx, text, false, d) : r;
    }
    r = read_json(t, ctx, text, d);
    if (r != -EBADMSG)
        return r;
    tree_deinit(t);
    r = yaml_read(t, text->text, text->len, &other);
    diag_clear(r == 0 ? d : &other);
    return r;
}

int format_read(struct tree *t, const struct config_ctx *ctx, const struct config_text *text, struct diag *d)
{
    int r = -EINVAL;

    switch (text->format) {
    case CONFIG_YAML:
        r = yaml_read(t, text->text, text->len, d);
        break;
    case CONFIG_JSON:
        r = read_json(t, ctx, text, d);
        break;
    case CONFIG_JS:
        r = read_js(t, ctx, text, text->is_file, d);
        break;
    case CONFIG_UNKNOWN:
        r = read_unknown(t, ctx, text, d);
        break;
    }
    return r < 0 ? -EINVAL : 0;
}
