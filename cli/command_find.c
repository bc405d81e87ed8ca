#include <string.h>

#include "cli/commands.h"

const struct command *command_find(const char *word)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (strcmp(commands[i].name, word) == 0)
            return &commands[i];
        for (const char *const *alias = commands[i].aliases; *alias; alias++)
            if (strcmp(*alias, word) == 0)
                return &commands[i];
    }
    return NULL;
}

static bool same(const char *known, const char *name, size_t len)
{
    return known && strlen(known) == len && memcmp(known, name, len) == 0;
}

static const struct flag *find_in(const struct flag *f, const char *name, size_t len, char letter)
{
    for (; f && f->name; f++) {
        if (letter ? f->letter == letter || f->letter2 == letter
                   : same(f->name, name, len) || same(f->alias, name, len))
            return f;
    }
    return NULL;
}

const struct flag *flag_find(const struct command *c, const char *name, size_t len, char letter)
{
    const struct flag *f = find_in(c ? c->flags : NULL, name, len, letter);

    return f ? f : find_in(global_flags, name, len, letter);
}

const char *command_without_daemon(const struct command *c)
{
    static const char *const sentences[] = {
        [DAEMON_NONE] = "It never talks to the daemon.",
        [DAEMON_OPTIONAL] = "Without a daemon it has an answer too, and starts none.",
        [DAEMON_RUNNING] = "It fails when no daemon runs, and starts none.",
        [DAEMON_AUTOSTART] = "It starts the daemon when none runs.",
    };

    return sentences[c->daemon];
}
