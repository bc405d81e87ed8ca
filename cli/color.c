#include "cli/color.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

bool color_wanted(bool no_color_flag, bool is_terminal)
{
    const char *no = getenv("NO_COLOR"), *force = getenv("FORCE_COLOR"), *term = getenv("TERM");

    if (no_color_flag || (no && *no))
        return false;
    if (force && *force)
        return strcmp(force, "0") != 0;
    return is_terminal && !(term && strcmp(term, "dumb") == 0);
}

const char *color_on(bool on, enum color c)
{
    static const char *const codes[COLOR_COUNT] = {
        [COLOR_NONE] = "",           [COLOR_BOLD] = "\033[1m",   [COLOR_DIM] = "\033[2m",
        [COLOR_RED] = "\033[31m",    [COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m",
        [COLOR_BLUE] = "\033[34m",   [COLOR_CYAN] = "\033[36m",  [COLOR_MAGENTA] = "\033[35m",
        [COLOR_TITLE] = "\033[1;36m"};

    return on ? codes[c] : "";
}

const char *color_off(bool on, enum color c)
{
    return on && c != COLOR_NONE ? "\033[0m" : "";
}

enum color color_of_status(const char *status)
{
    static const struct {
        const char *status;
        enum color color;
    } rows[] = {{"online", COLOR_GREEN},
                {"launching", COLOR_BLUE},
                {"waiting restart", COLOR_YELLOW},
                {"stopping", COLOR_YELLOW}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(status, rows[i].status) == 0)
            return rows[i].color;
    return COLOR_RED;
}

enum color color_of_process(long long id)
{
    static const enum color colors[] = {COLOR_CYAN, COLOR_GREEN, COLOR_YELLOW, COLOR_MAGENTA, COLOR_BLUE};

    return colors[(unsigned long long)id % ARRAY_LEN(colors)];
}
