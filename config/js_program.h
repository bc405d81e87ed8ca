/* The program that node runs to read a config. Private to config/. */
#ifndef PM_CONFIG_JS_PROGRAM_H
#define PM_CONFIG_JS_PROGRAM_H

#define JS_RESULT_FD 3

/*
 * Arguments after it: the absolute name of the config, then "file" (node loads that file) or "text" (the text
 * is on stdin; the name stands in messages and is where require() starts). One answer comes on descriptor 3:
 *
 *   v<JSON>   the value that the config exports
 *   e<JSON>   it threw: {message, line, col}; line and col are 0 when the place is not in the config itself
 *   s<JSON>   the same, but the text is no JavaScript at all (only for "text")
 *
 * stdout and stderr are left to the config.
 */
extern const char js_program[];

#endif
