/* The answer to "why": the story of one process, for a person at night. */
#ifndef PM_CLI_WHY_H
#define PM_CLI_WHY_H

#include <jansson.h>
#include <stdint.h>

#include "cli/out.h"

/* Appends the story of one record of "why". `now` is wall clock ms. */
void why_render(const struct out *o, const json_t *record, int64_t now, struct buf *out);

/* Appends when and how one of its runs ended (a few lines on a narrow terminal), or since when it runs. */
void why_append_run(const struct out *o, const json_t *run, int64_t now, struct buf *out);

#endif
