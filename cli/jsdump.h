/* JSON as Node prints objects: what "prettylist" shows. */
#ifndef PM_CLI_JSDUMP_H
#define PM_CLI_JSDUMP_H

#include <jansson.h>

struct buf;

/* Appends the value over several lines; strings in single quotes, keys bare where JavaScript takes them so.
 */
void jsdump(struct buf *out, const json_t *v);

#endif
