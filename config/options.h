/*
 * The option table: every key that an app may have. Reading files, the wire form, defaults, validation and
 * generated documentation all come from its rows; nothing else lists the keys.
 */
#ifndef PM_CONFIG_OPTIONS_H
#define PM_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/spec.h"

struct err;

/* What a value may look like in a file. */
enum opt_type {
    OPT_STRING,
    OPT_ENUM, /* one of `words` */
    OPT_BOOL,
    OPT_INT,
    OPT_DURATION,   /* stored in ms */
    OPT_SIZE,       /* stored in bytes */
    OPT_SIGNAL,     /* stored as number */
    OPT_INSTANCES,  /* a number, 0 or "max" for all CPUs, negative for all but n */
    OPT_WORDS,      /* a list, or a string that is split at blanks */
    OPT_EXIT_CODES, /* a number or a list of them */
    OPT_PATH,       /* made absolute when the app is resolved */
    OPT_LOG_PATH,   /* the same; "/dev/null" and "NULL" switch the file off */
    OPT_USER,       /* name or number */
    OPT_PORT,
    OPT_ENV,    /* a mapping of variables */
    OPT_FILTER, /* true for everything, or texts */
    OPT_WATCH,  /* a boolean, a path or paths; true is stored as "." */
    OPT_TEXTS,  /* a text, or a list of texts that may hold blanks */
    OPT_CRON,
    OPT_COUNT,   /* a number, or "all" for the most that is possible */
    OPT_ADDRESS, /* a port, or host:port */
    OPT_MODE,    /* permissions in octal, stored as number */
    OPT_LIST,    /* a list of mappings with the group's rows; one mapping or plain value is a list of one */
    OPT_HOOKS,   /* a mapping: event -> command, URL, or a list of them; see hook_list.h */
    OPT_GROUP,   /* a mapping with rows of its own, see struct option_group */
    OPT_MAP,     /* a mapping that is not looked into */
    OPT_ANY,     /* not looked at */
    OPT_TYPE_COUNT
};

/* How a value lies in struct app_spec. */
enum opt_store {
    STORE_NONE,
    STORE_STRING,
    STORE_INT,
    STORE_BOOL,
    STORE_STRV,
    STORE_ENV,
    STORE_INT_LIST,
    STORE_GROUP, /* a struct of its own inside the outer one */
    STORE_LIST   /* struct option_list (option_fields.h): a pointer to such structs, and their number */
};

/* What a changed value needs before a running app has it. */
enum opt_needs {
    NEEDS_NOTHING, /* acts at once */
    NEEDS_RELOAD,  /* a new child; a reload without a gap will do */
    NEEDS_RESTART  /* the old child must be gone first */
};

#define OPT_ALIASES_MAX 4
#define OPTION_LIST_MAX 64 /* entries of an OPT_LIST */

struct option_row;

/*
 * The keys inside a key whose value is a mapping. Offsets of these rows are relative to the group's own
 * struct, so that several keys can share a group. A row of a group may be a group again.
 */
struct option_group {
    const struct option_row *rows;
    size_t n;
    const char
        *shorthand; /* row that a plain value in place of the mapping sets; NULL = none may stand there */

    /* OPT_LIST only. */
    size_t size; /* of the struct of one entry, in bytes */
    /* A plain value in place of a mapping: fills the entry. -EINVAL and a message. */
    int (*from_text)(void *entry, const char *text, struct err *e);
    const char *text_expected; /* words for what from_text takes */
    /* A mapping in place of the list: each key is the value of this row in an entry of its own, its value the
     * rest of the entry (a mapping, or a plain value for `shorthand`). A list may hold such mappings too,
     * where they do not have this key itself. NULL = a mapping is an entry. */
    const char *keyed;
    const char *const *idle; /* keys that are known but do nothing: a warning, no error. NULL = none */
    const char *idle_why;
    /* Once the list is read: fills in what follows from other keys, and checks what no single key shows.
     * -EINVAL, a message, and the number of the entry in `at`. NULL = nothing to do. */
    int (*complete)(void *entries, unsigned n, unsigned *at, struct err *e);
};

struct option_row {
    const char *name; /* canonical: in jlist, on the wire, in the database */
    const char *aliases[OPT_ALIASES_MAX + 1];
    enum opt_type type;
    enum opt_store store;             /* STORE_NONE: only files have it (it acts through another field) */
    size_t offset;                    /* into struct app_spec or that of the group, unless STORE_NONE */
    size_t given_offset;              /* of a bool that says "set in the config"; 0 = there is none */
    int64_t min, max;                 /* numbers, in base units */
    int64_t def;                      /* numbers and booleans */
    const char *def_text;             /* strings; NULL = unset */
    const char *unit;                 /* of the base value, for documentation; NULL = none */
    const char *const *words;         /* OPT_ENUM */
    const struct option_group *group; /* OPT_GROUP, OPT_LIST */
    /* Strings: what must hold beside type and length; NULL = nothing more. */
    int (*check)(const char *text, struct err *e);
    enum opt_needs needs;
    bool local;       /* the daemon never sees it */
    bool required;    /* an app without it is refused once it is resolved */
    const char *help; /* one sentence */
};

const struct option_row *options(size_t *n); /* all rows */

/*
 * The row that a key of a file names: canonical, alias, or the camelCase form of either (killTimeout for
 * kill_timeout). NULL when there is none.
 */
const struct option_row *option_find(const char *key);
const struct option_row *option_by_name(const char *name); /* canonical names only */

/* Keys of PM2 that have no row. */
struct foreign_key {
    const char *name;
    const char *aliases[2];
    enum opt_type type; /* the value is checked all the same; OPT_ANY = not */
    const char *why;    /* NULL: it will act in a later version; else why it never will */
};
const struct foreign_key *foreign_keys(size_t *n);
const struct foreign_key *foreign_key_find(const char *key);

/* Is `key` this name or its camelCase form? */
bool option_key_matches(const char *name, const char *key);

/* The known key nearest to a mistyped one, or NULL when none is near. */
const char *option_suggest(const char *key);

/* The same three inside a group. */
const struct option_row *option_group_find(const struct option_group *g, const char *key);
const struct option_row *option_group_by_name(const struct option_group *g, const char *name);
const char *option_group_suggest(const struct option_group *g, const char *key);

/* The row that a plain value sets, or NULL. */
const struct option_row *option_group_shorthand(const struct option_group *g);

/* The store's value of one row; `base` is the struct app_spec, for a row of a group the group's struct. */
void *option_field(const struct option_row *o, void *base);
const void *option_field_const(const struct option_row *o, const void *base);

/* Notes that the key was set, where the row has a place for that. */
void option_mark_given(const struct option_row *o, void *base);

/* Checks one string or number against its row. 0, or -EINVAL with "<what is wrong>" as the message. */
int option_check_text(const struct option_row *o, const char *text, struct err *e);
int option_check_int(const struct option_row *o, int64_t value, struct err *e);

/* Checks a complete, resolved app: every row, required keys, absolute paths. 0 or -EINVAL. */
int app_spec_validate(const struct app_spec *s, struct err *e);

/*
 * Sets one key from text, as a command-line flag gives it ("10s", "max", "true"). 0, or -EINVAL with a
 * message that does not name the key.
 */
int option_set_text(const struct option_row *o, void *base, const char *text, struct err *e);

/* "a duration such as ...", for enums their words: completes "expected ...". */
#define EXPECTED_MAX 256
const char *option_expected(const struct option_row *o, char out[EXPECTED_MAX]);
const char *opt_type_expected(enum opt_type type);

#endif
