/*
 * What texts must be like, for the option table's `check` column. 0, or -EINVAL with a message that completes
 * "<key>: ...". Private to config/.
 */
#ifndef PM_CONFIG_CHECKS_H
#define PM_CONFIG_CHECKS_H

struct app_spec;
struct err;

#define APP_NAME_MAX 128 /* bytes: with a suffix it still fits a file name */

int check_app_name(const char *text, struct err *e);  /* not empty, short, no control characters, no "/" */
int check_env_name(const char *text, struct err *e);  /* not empty, no "=", no control characters */
int check_word(const char *text, struct err *e);      /* not empty, no control characters */
int check_file_word(const char *text, struct err *e); /* the same, and no "/" */

/* What no limit shows by itself; the message names the key. */
int check_limits(const struct app_spec *s, struct err *e);

#endif
