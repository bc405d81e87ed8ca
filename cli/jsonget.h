/* Reading the daemon's records: missing or odd members have a harmless value. */
#ifndef PM_CLI_JSONGET_H
#define PM_CLI_JSONGET_H

#include <jansson.h>

static inline const char *j_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static inline long long j_int(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_real(v) ? (long long)json_real_value(v) : json_integer_value(v);
}

static inline double j_number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

#endif
