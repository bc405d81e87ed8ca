/* Which values are not shown. A masked value is still there for its owner who asks for it: pm env. */
#include "config/spec.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/mem.h"

#define MASK "********"

/* Parts of names whose values are not shown. Too many are better than too few. */
static const char *const secret_parts[] = {
    "TOKEN",     "SECRET",       "PASS",      "PWD",       "CREDENTIAL",
    "PRIVATE",   "AUTH",         "COOKIE",    "SALT",      "DSN",
    "JWT",       "DATABASE_URL", "MONGO_URL", "REDIS_URL", "CONNECTION_STRING",
    "SIGNATURE", "PIN_",         "WEBHOOK",
};

/* What begins as such a part and means something else. */
static const char *const plain_words[] = {"AUTHORITY", "AUTHOR_", "AUTHORS", "TOKENIZER", "PASSENGER"};

/* Names that everybody has. */
static const char *const plain_names[] = {"PWD", "OLDPWD", "SSH_AUTH_SOCK"};

static bool is_plain_word(const char *at)
{
    for (size_t i = 0; i < ARRAY_LEN(plain_words); i++)
        if (strncasecmp(at, plain_words[i], strlen(plain_words[i])) == 0)
            return true;
    return strcasecmp(at, "AUTHOR") == 0;
}

/* KEY as the end of a word: API_KEY, apiKeyId, SSHKEYS, KEY2; but no KEYBOARD and no KEYMAP. */
static bool ends_word(const char *key)
{
    const char *after = key + 3;

    if (tolower((unsigned char)*after) == 's')
        after++;
    return !isalpha((unsigned char)*after) ||
           (islower((unsigned char)after[-1]) && isupper((unsigned char)*after));
}

bool env_name_is_secret(const char *name)
{
    const char *at;

    for (size_t i = 0; i < ARRAY_LEN(plain_names); i++)
        if (strcasecmp(name, plain_names[i]) == 0)
            return false;
    for (at = name; (at = strcasestr(at, "KEY")) != NULL; at++)
        if (ends_word(at))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(secret_parts); i++)
        for (at = name; (at = strcasestr(at, secret_parts[i])) != NULL; at++)
            if (!is_plain_word(at))
                return true;
    return false;
}

/*
 * The password of the URL whose "://" ends at `p`, up to its "@". A "/" in it should be written as %2F, but
 * people forget; a port before a path with an "@" is none. NULL when there is none.
 */
static const char *password_in(const char *p, const char **end)
{
    const char *text = p + strcspn(p, ":/?#@ \t\n\"'"), *stop, *at;

    if (*text++ != ':')
        return NULL;
    stop = text + strcspn(text, "/?# \t\n\"'");
    at = memrchr(text, '@', (size_t)(stop - text));
    if (!at && strspn(text, "0123456789") < (size_t)(stop - text)) {
        stop = text + strcspn(text, " \t\n\"'");
        at = memchr(text, '@', (size_t)(stop - text));
    }
    *end = at;
    return at && at > text ? text : NULL;
}

static char *mask_urls(const char *value)
{
    struct buf out = {0};
    const char *from = value, *p = value;

    while ((p = strstr(p, "://")) != NULL) {
        const char *end, *password = password_in(p += 3, &end);

        if (!password)
            continue;
        buf_append(&out, from, (size_t)(password - from));
        buf_puts(&out, MASK);
        from = p = end;
    }
    if (from == value)
        return NULL;
    buf_puts(&out, from);
    return buf_steal(&out);
}

char *env_mask(const char *name, const char *value)
{
    return env_name_is_secret(name) ? xstrdup(MASK) : mask_urls(value);
}
