/* Values as people write them: durations, sizes, signals, argument strings. Private to config/. */
#ifndef PM_CONFIG_VALUES_H
#define PM_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole decimal number with an optional sign; nothing before or after it. */
bool value_int(const char *text, int64_t *out);

/* "500ms", "10s", "2m", "2h", "1d", or a bare number of ms. Result in ms, never negative. */
bool value_duration(const char *text, int64_t *ms);

/* "512K", "10M", "1G", also "100MB", "1GiB" and lower case; all by 1024. A bare number is bytes. */
bool value_size(const char *text, int64_t *bytes);

/* "SIGTERM", "term", "RTMIN+3" or a number. */
bool value_signal(const char *text, int64_t *number);

/* Permissions in octal with a leading 0 ("0660", "0o660"), so that no decimal number is taken for one. */
bool value_mode(const char *text, int64_t *mode);

/*
 * Splits an argument string at blanks; '...' and "..." hold blanks together, a backslash takes the next
 * character as it is (inside "..." only before " and \). A NULL-terminated list for strv_free, or NULL when a
 * quote or backslash is left open.
 */
char **value_split(const char *text);

/* Bytes of valid UTF-8 at the start of the text: `len` when all of it is. */
size_t value_utf8_prefix(const char *text, size_t len);

#endif
