#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "cli/control.h"

/* SIGUSR2, usr2, 12, RTMIN+3: does it look like a signal at all? The daemon decides which. */
static bool is_signal(const char *word)
{
    if (isdigit((unsigned char)word[0]))
        return true;
    if (strncasecmp(word, "SIG", 3) == 0)
        word += 3;
    if (strncasecmp(word, "RTM", 3) == 0)
        return true;
    for (int sig = 1; sig < NSIG; sig++)
        if (sigabbrev_np(sig) && strcasecmp(sigabbrev_np(sig), word) == 0)
            return true;
    return false;
}

int cmd_signal(struct cli *c, const struct args *a)
{
    json_t *params;
    int code;

    if (!is_signal(a->words[0]))
        return out_error(&c->out, "\"%s\" is no signal; usage: pm sendSignal %s", a->words[0],
                         a->command->usage);
    code = control_selectors(c, a, 1, &params);
    if (code != EXIT_DONE)
        return code;
    json_object_set_new(params, "signal", json_string(a->words[0]));
    return control_run(c, a, params);
}
