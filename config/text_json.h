/*
 * Text of the system as JSON. Paths, arguments and variables are bytes on Linux, JSON strings are not: what
 * is not valid UTF-8 travels as {"base64": "..."}, so that nothing is lost or changed on the way.
 */
#ifndef PM_CONFIG_TEXT_JSON_H
#define PM_CONFIG_TEXT_JSON_H

#include <jansson.h>

json_t *text_to_json(const char *text); /* the caller owns the reference */

/* The text on the heap; NULL when the value is neither form or holds a NUL. */
char *text_from_json(const json_t *value);

#endif
