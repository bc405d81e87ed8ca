#include "cli/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/refused.h"
#include "common/err.h"
#include "common/mem.h"
#include "config/suggest.h"

struct parser {
    struct args *out;
    int argc;
    char **argv;
    int i;          /* the argument being read */
    int command_at; /* index of the command word, or argc */
    struct err *e;
};

/* "-1" is a number, not a bundle of flags. */
static bool is_flag_word(const char *s)
{
    return s[0] == '-' && s[1] && !isdigit((unsigned char)s[1]);
}

static bool wants_value(const struct flag *f)
{
    return f->type != FLAG_BOOL && f->type != FLAG_OPTIONAL;
}

/* Among the flags of all commands: enough to skip a flag that stands before the command word. Flags of one
 * name have one type in all commands. */
static const struct flag *find_anywhere(const char *name, size_t len, char letter)
{
    const struct flag *f = flag_find(NULL, name, len, letter);

    for (size_t i = 0; !f && i < n_commands; i++)
        f = flag_find(&commands[i], name, len, letter);
    return f;
}

/* The first command that has this flag, which another one does not have. */
static const struct flag *find_elsewhere(const char *name, size_t len, char letter,
                                         const struct command **other)
{
    for (size_t i = 0; i < n_commands; i++) {
        const struct flag *f = flag_find(&commands[i], name, len, letter);

        *other = &commands[i];
        if (f)
            return f;
    }
    return NULL;
}

/* The flag of this word that needs the next argument as its value, or NULL. */
static const struct flag *takes_next(const char *arg)
{
    const struct flag *f;

    if (arg[1] == '-') {
        f = strchr(arg, '=') ? NULL : find_anywhere(arg + 2, strlen(arg + 2), 0);
        return f && wants_value(f) ? f : NULL;
    }
    for (const char *p = arg + 1; *p; p++) {
        f = find_anywhere(NULL, 0, *p);
        if (f && f->type != FLAG_BOOL)
            return wants_value(f) && !p[1] ? f : NULL;
    }
    return NULL;
}

static bool is_integer_list(const char *s)
{
    bool digit = false;

    for (; *s; s++) {
        if (isdigit((unsigned char)*s))
            digit = true;
        else if (*s != ',' && *s != ' ' && *s != '-')
            return false;
    }
    return digit;
}

static int find_command_word(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct flag *f;

        if (strcmp(argv[i], "--") == 0)
            return argc;
        if (!is_flag_word(argv[i]))
            return i;
        f = takes_next(argv[i]);
        if (f)
            i++;
        while (f && f->type == FLAG_NUMBERS && i + 1 < argc && is_integer_list(argv[i + 1]))
            i++;
    }
    return argc;
}

/* The beginning of a word is as near as one mistake: "rest" for "restart". */
static void offer(struct suggestion *s, const char *word)
{
    size_t len = strlen(s->typed);

    suggestion_offer(s, word);
    if (len >= 3 && strncmp(s->typed, word, len) == 0 && s->distance > 1) {
        s->distance = 1;
        s->best = word;
    }
}

static void offer_flags(struct suggestion *s, const struct flag *f)
{
    for (; f && f->name; f++) {
        if (f->refused)
            continue;
        offer(s, f->name);
        if (f->alias)
            offer(s, f->alias);
    }
}

static int unknown_flag(const struct parser *p, const char *name, size_t len, char letter)
{
    const struct command *c = p->out->command;
    _cleanup_free_ char *word = letter ? xasprintf("-%c", letter) : xasprintf("--%.*s", (int)len, name);
    struct suggestion s = suggestion_start(word + 2);
    const struct command *other = NULL;
    const struct flag *elsewhere = find_elsewhere(name, len, letter, &other);

    if (c && elsewhere && elsewhere->refused)
        return err_set(p->e, -EINVAL, "pm has no --%s: %s", elsewhere->name, elsewhere->refused);
    if (c && elsewhere && !c->takes_rest)
        return err_set(p->e, -EINVAL, "pm %s has no option %.80s, which belongs to pm %s; see pm %s --help",
                       c->name, word, other->name, c->name);
    if (!letter) {
        offer_flags(&s, c ? c->flags : NULL);
        offer_flags(&s, global_flags);
    }
    if (s.best)
        return err_set(p->e, -EINVAL, "pm%s%s has no option %.80s; did you mean --%s?%s", c ? " " : "",
                       c ? c->name : "", word, s.best,
                       c && c->takes_rest ? " (The app's own options stand after \"--\".)" : "");
    if (c && c->takes_rest)
        return err_set(p->e, -EINVAL, "pm %s has no option %.80s (the app's own options stand after \"--\")",
                       c->name, word);
    return err_set(p->e, -EINVAL, "pm%s%s has no option %.80s; see pm %s%s--help", c ? " " : "",
                   c ? c->name : "", word, c ? c->name : "", c ? " " : "");
}

static int check_number(const struct parser *p, const struct flag *f, const char *text)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (!*text || *end || errno || v < f->min || v > f->max)
        return err_set(p->e, -EINVAL, "--%s wants a number from %lld to %lld, not \"%.40s\"", f->name, f->min,
                       f->max, text);
    return 0;
}

static int add_given(struct parser *p, const struct flag *f, const char *value)
{
    struct args *a = p->out;

    if (f->type == FLAG_NUMBER && check_number(p, f, value) < 0)
        return -EINVAL;
    if (f->type == FLAG_NUMBERS && !is_integer_list(value))
        return err_set(p->e, -EINVAL, "--%s wants integers such as 0,64, not \"%.40s\"", f->name, value);
    a->given = xrealloc(a->given, (a->n_given + 1) * sizeof(*a->given));
    a->given[a->n_given++] = (struct given_flag){.flag = f, .value = value};
    return 0;
}

/* Is this argument a flag of the command, and so hardly meant as the value of another flag? */
static bool is_known_flag(const struct parser *p, const char *arg)
{
    size_t len = strcspn(arg, "=");

    if (strcmp(arg, "--") == 0)
        return true;
    if (!is_flag_word(arg))
        return false;
    if (arg[1] == '-')
        return flag_find(p->out->command, arg + 2, len - 2, 0) != NULL;
    return !arg[2] && flag_find(p->out->command, NULL, 0, arg[1]) != NULL;
}

/* The value of a flag: `attached` is what stood in the same argument, or NULL. */
static int take_value(struct parser *p, const struct flag *f, const char *attached)
{
    const char *next = p->i + 1 < p->argc ? p->argv[p->i + 1] : NULL;
    bool after_command = p->i > p->command_at;
    /* "start --watch app.js": of a value that may be left out, the script comes first. */
    bool may_take = after_command && !(p->out->command && p->out->command->takes_rest && !p->out->n_words);

    if (f->refused)
        return err_set(p->e, -EINVAL, "pm has no --%s: %s", f->name, f->refused);
    if (f->type == FLAG_BOOL)
        return attached ? err_set(p->e, -EINVAL, "--%s takes no value", f->name) : add_given(p, f, "");
    if (f->type == FLAG_OPTIONAL && !attached && (!next || next[0] == '-' || !may_take))
        return add_given(p, f, "");
    if (!attached &&
        (!next || p->i + 1 == p->command_at || (f->type != FLAG_WORDS && is_known_flag(p, next))))
        return err_set(p->e, -EINVAL, "--%s needs a value: --%s %s", f->name, f->name, f->arg);
    if (!attached) {
        attached = next;
        p->i++;
    }
    if (add_given(p, f, attached) < 0)
        return -EINVAL;
    while (f->type == FLAG_NUMBERS && p->i + 1 < p->argc && is_integer_list(p->argv[p->i + 1]))
        if (add_given(p, f, p->argv[++p->i]) < 0)
            return -EINVAL;
    return 0;
}

static int parse_long(struct parser *p, const char *arg)
{
    size_t len = strcspn(arg, "=");
    const struct flag *f = flag_find(p->out->command, arg, len, 0);

    if (!f)
        return unknown_flag(p, arg, len, 0);
    return take_value(p, f, arg[len] == '=' ? arg + len + 1 : NULL);
}

static int parse_letters(struct parser *p, const char *letters)
{
    for (; *letters; letters++) {
        const struct flag *f = flag_find(p->out->command, NULL, 0, *letters);
        const char *attached = letters[1] == '=' ? letters + 2 : letters[1] ? letters + 1 : NULL;

        if (!f)
            return unknown_flag(p, NULL, 0, *letters);
        if (f->type != FLAG_BOOL)
            return take_value(p, f, attached);
        if (add_given(p, f, "") < 0)
            return -EINVAL;
    }
    return 0;
}

static int unknown_command(const char *word, struct err *e)
{
    struct suggestion s = suggestion_start(word);
    const char *instead = refused_command(word);

    if (instead)
        return err_set(e, -EINVAL, "pm has no command \"%.80s\": %s", word, instead);
    if (strpbrk(word, "/. "))
        return err_set(e, -EINVAL, "unknown command \"%.80s\"; to run it: pm start %.80s", word, word);
    for (size_t i = 0; i < n_commands; i++) {
        offer(&s, commands[i].name);
        for (const char *const *alias = commands[i].aliases; *alias; alias++)
            offer(&s, *alias);
    }
    if (s.best)
        return err_set(e, -EINVAL, "unknown command \"%.80s\"; did you mean \"%s\"?", word, s.best);
    return err_set(e, -EINVAL, "unknown command \"%.80s\"; pm help lists them", word);
}

static int parse_all(struct parser *p)
{
    struct args *a = p->out;

    for (p->i = 1; p->i < p->argc; p->i++) {
        const char *arg = p->argv[p->i];
        int rc = 0;

        if (p->i == p->command_at)
            continue;
        if (strcmp(arg, "--") == 0)
            break;
        if (!is_flag_word(arg))
            a->words[a->n_words++] = arg;
        else
            rc = arg[1] == '-' ? parse_long(p, arg + 2) : parse_letters(p, arg + 1);
        if (rc < 0)
            return rc;
    }
    for (p->i++; p->i < p->argc; p->i++) {
        if (a->command && a->command->takes_rest)
            a->rest[a->n_rest++] = p->argv[p->i];
        else
            a->words[a->n_words++] = p->argv[p->i];
    }
    return 0;
}

static int check_words(const struct args *a, struct err *e)
{
    const struct command *c = a->command;

    /* The command words of --help and --version need no more. */
    if (!c || args_has(a, "help") || args_has(a, "version"))
        return 0;
    if (a->n_words < c->min_words)
        return err_set(e, -EINVAL, "what to %s? usage: pm %s %s", c->name, c->name, c->usage);
    if (a->n_words > c->max_words)
        return err_set(e, -EINVAL, "\"%.80s\" is too much for pm %s; usage: pm %s%s%s",
                       a->words[c->max_words], c->name, c->name, *c->usage ? " " : "", c->usage);
    return 0;
}

int args_parse(struct args *out, int argc, char **argv, struct err *e)
{
    struct parser p = {.out = out, .argc = argc, .argv = argv, .e = e};
    int rc;

    *out = (struct args){.words = xcalloc((size_t)argc + 1, sizeof(char *)),
                         .rest = xcalloc((size_t)argc + 1, sizeof(char *))};
    p.command_at = find_command_word(argc, argv);
    if (p.command_at < argc) {
        out->command = command_find(argv[p.command_at]);
        if (!out->command)
            return unknown_command(argv[p.command_at], e);
    }
    rc = parse_all(&p);
    return rc < 0 ? rc : check_words(out, e);
}

void args_deinit(struct args *a)
{
    free(a->given);
    free(a->words);
    free(a->rest);
    *a = (struct args){0};
}

static const struct given_flag *last_given(const struct args *a, const char *flag)
{
    for (size_t i = a->n_given; i-- > 0;)
        if (strcmp(a->given[i].flag->name, flag) == 0)
            return &a->given[i];
    return NULL;
}

bool args_has(const struct args *a, const char *flag)
{
    return last_given(a, flag) != NULL;
}

const char *args_text(const struct args *a, const char *flag)
{
    const struct given_flag *g = last_given(a, flag);

    return g ? g->value : NULL;
}

long long args_number(const struct args *a, const char *flag, long long otherwise)
{
    const struct given_flag *g = last_given(a, flag);

    return g ? strtoll(g->value, NULL, 10) : otherwise;
}
