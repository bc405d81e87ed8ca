#include "cli/logseen.h"

#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "common/mem.h"

void logseen_init(struct logseen *s, int64_t since_us)
{
    s->count = 0;
    s->since = since_us;
}

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_of(const json_t *line)
{
    const json_t *text = json_object_get(line, "text");
    long long numbers[3] = {j_int(line, "time"), j_int(line, "id"), j_int(line, "run")};
    const char *stream = j_text(line, "stream");
    uint64_t h = mix(UINT64_C(0xcbf29ce484222325), numbers, sizeof(numbers));

    if (!json_is_string(text))
        text = json_object_get(line, "base64");
    h = mix(h, stream, strlen(stream));
    return json_is_string(text) ? mix(h, json_string_value(text), json_string_length(text)) : h;
}

void logseen_add(struct logseen *s, const json_t *line)
{
    s->ring[s->count++ % LOGSEEN_MAX] = (struct logseen_entry){hash_of(line), j_int(line, "time")};
}

static int by_hash(const void *a, const void *b)
{
    const struct logseen_entry *x = a, *y = b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Uses up one shown line of this hash among the sorted ones. */
static bool use_up(struct logseen_entry *sorted, bool *used, size_t n, uint64_t hash)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (sorted[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n && sorted[low].hash == hash; low++)
        if (!used[low]) {
            used[low] = true;
            return true;
        }
    return false;
}

json_t *logseen_new_lines(const struct logseen *s, const json_t *history, size_t asked, bool *gap)
{
    size_t n = s->count < LOGSEEN_MAX ? s->count : LOGSEEN_MAX, i;
    struct logseen_entry *sorted = xcalloc(n + 1, sizeof(*sorted));
    bool *used = xcalloc(n + 1, sizeof(*used)), met = false;
    json_t *fresh = json_array(), *line;
    int64_t oldest = s->since;

    memcpy(sorted, s->ring, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_hash);
    for (i = 0; i < n; i++)
        if (i == 0 || s->ring[i].time < oldest)
            oldest = s->ring[i].time;
    json_array_foreach (history, i, line) {
        /* Before the first line that was shown only what is later than all that may have been shown is new.
         */
        if (use_up(sorted, used, n, hash_of(line)))
            met = true;
        else if (met || j_int(line, "time") > oldest)
            json_array_append(fresh, line);
    }
    *gap = n > 0 && !met && json_array_size(history) >= asked;
    free(sorted);
    free(used);
    return fresh;
}
