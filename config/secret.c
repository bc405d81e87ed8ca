#include "config/spec.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

/*
 * Parts of names whose values are not shown. Too many are better than too few: a masked value is still there
 * for its owner who asks for it.
 */
static const char *const secret_parts[] = {
    "KEY",    "TOKEN", "SECRET", "PASS",         "PWD",       "CREDENTIAL", "PRIVATE",           "AUTH",
    "COOKIE", "SALT",  "DSN",    "DATABASE_URL", "MONGO_URL", "REDIS_URL",  "CONNECTION_STRING", "SIGNATURE",
    "JWT",    "CERT",  "PIN_",   "_URI",         "WEBHOOK",
};

/* Names that hold such a part by chance and that everybody has. */
static const char *const plain_names[] = {"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "KEYBOARD"};

bool env_name_is_secret(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(plain_names); i++)
        if (strcasecmp(name, plain_names[i]) == 0)
            return false;
    for (size_t i = 0; i < ARRAY_LEN(secret_parts); i++)
        if (strcasestr(name, secret_parts[i]))
            return true;
    return false;
}
