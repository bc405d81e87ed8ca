#include "cli/session.h"
#include "common/buf.h"

int cmd_send(struct cli *c, const struct args *a)
{
    json_t *result = NULL, *params;
    struct buf text = {0};
    int code;

    for (size_t i = 1; i < a->n_words; i++) {
        if (i > 1)
            buf_putc(&text, ' ');
        buf_puts(&text, a->words[i]);
    }
    params = json_pack("{s:s, s:s%}", "selector", a->words[0], "text", text.data, text.len);
    buf_free(&text);
    if (!params)
        return out_error(&c->out, "the text is not valid UTF-8");
    code = session_call(c, "process.send", params, &result);
    json_decref(result);
    if (code == 0)
        out_say(&c->out, "sent the line to %s", a->words[0]);
    return code;
}
