/* Colours, and whether to use them. */
#ifndef PM_CLI_COLOR_H
#define PM_CLI_COLOR_H

#include <stdbool.h>

enum color {
    COLOR_NONE,
    COLOR_BOLD,
    COLOR_DIM,
    COLOR_RED,
    COLOR_GREEN,
    COLOR_YELLOW,
    COLOR_BLUE,
    COLOR_MAGENTA,
    COLOR_CYAN,
    COLOR_TITLE, /* bold cyan, as PM2's table heads */
    COLOR_COUNT
};

/*
 * --no-color wins, then NO_COLOR (any value), then FORCE_COLOR (any value but 0); otherwise a terminal that
 * is not "dumb" gets colours.
 */
bool color_wanted(bool no_color_flag, bool is_terminal);

/* The sequence that begins a colour, and the one that ends it; both empty for COLOR_NONE or !on. */
const char *color_on(bool on, enum color c);
const char *color_off(bool on, enum color c);

/* PM2's: online green, launching blue, all else red; but what is on its way, waiting or stopping, is yellow.
 */
enum color color_of_status(const char *status);

/* A colour to know a process by; red is left to errors. */
enum color color_of_process(long long id);

#endif
