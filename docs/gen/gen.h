/* The generated parts of the documentation, as Markdown. */
#ifndef PM_DOCS_GEN_H
#define PM_DOCS_GEN_H

struct buf;

/* Text in which nothing is taken for markup; within a table cell. */
void md_text(struct buf *out, const char *text);

/* `text` as code, within a table cell. */
void md_code(struct buf *out, const char *text);

void gen_command_table(struct buf *out);     /* each command in one row, by topic */
void gen_command_reference(struct buf *out); /* usage, help, flags and examples of each */
void gen_refused_commands(struct buf *out);  /* PM2's commands that pm does not have */
void gen_option_table(struct buf *out);      /* all config keys */
void gen_foreign_keys(struct buf *out);      /* PM2's keys that do nothing */

#endif
