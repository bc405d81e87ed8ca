/* id and pid: small answers that scripts take apart. Unknown names are an empty answer, not an error. */
#include <stdio.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/session.h"

static int get_list(struct cli *c, json_t **records)
{
    *records = NULL;
    return c->connected ? session_call(c, "list", NULL, records) : EXIT_DONE;
}

/* The `key` of each record of this name (NULL: of all). */
static json_t *numbers_of(const json_t *records, const char *name, const char *key)
{
    json_t *numbers = json_array(), *r;
    size_t i;

    json_array_foreach (records, i, r)
        if (!name || strcmp(j_text(r, "name"), name) == 0)
            json_array_append_new(numbers, json_integer(j_int(r, key)));
    return numbers;
}

static void print_json(const json_t *numbers)
{
    json_dumpf(numbers, stdout, JSON_COMPACT);
    putchar('\n');
}

/* PM2's form, a JavaScript array: "[ 0, 2 ]", "[]". */
static void print_array(const json_t *numbers)
{
    json_t *n;
    size_t i;

    putchar('[');
    json_array_foreach (numbers, i, n)
        printf("%s %" JSON_INTEGER_FORMAT, i ? "," : "", json_integer_value(n));
    puts(json_array_size(numbers) ? " ]" : "]");
}

int cmd_id(struct cli *c, const struct args *a)
{
    json_t *records, *numbers;
    int code = get_list(c, &records);

    if (code != EXIT_DONE)
        return code;
    numbers = numbers_of(records, a->words[0], "id");
    if (args_has(a, "json"))
        print_json(numbers);
    else
        print_array(numbers);
    json_decref(numbers);
    json_decref(records);
    return EXIT_DONE;
}

int cmd_pid(struct cli *c, const struct args *a)
{
    json_t *records, *numbers, *n;
    size_t i;
    int code = get_list(c, &records);

    if (code != EXIT_DONE)
        return code;
    numbers = numbers_of(records, a->n_words ? a->words[0] : NULL, "pid");
    if (args_has(a, "json")) {
        print_json(numbers);
    } else {
        json_array_foreach (numbers, i, n)
            printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(n));
        if (json_array_size(numbers) == 0)
            putchar('\n');
    }
    json_decref(numbers);
    json_decref(records);
    return EXIT_DONE;
}
