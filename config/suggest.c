#include "config/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#define WORD_MAX 48 /* longer words are nobody's typing mistake */

/* Lower case without separators: killTimeout, kill-timeout and KILL_TIMEOUT are no mistakes of spelling. */
static size_t fold(const char *word, char out[WORD_MAX])
{
    size_t n = 0;

    for (; *word && n < WORD_MAX; word++)
        if (*word != '_' && *word != '-')
            out[n++] = (char)tolower((unsigned char)*word);
    return n;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

unsigned suggest_distance(const char *a, const char *b)
{
    char x[WORD_MAX], y[WORD_MAX];
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    size_t n = fold(a, x), m = fold(b, y);

    for (size_t i = 0; i <= n; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (x[i - 1] != y[j - 1]));
            if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[n][m];
}

struct suggestion suggestion_start(const char *typed)
{
    return (struct suggestion){.typed = typed, .distance = UINT_MAX};
}

void suggestion_offer(struct suggestion *s, const char *word)
{
    size_t len = strlen(s->typed);
    /* One mistake in three letters; more would offer words that have nothing to do with what was typed. */
    unsigned limit = len >= 9 ? 3 : (unsigned)(len / 3), distance;

    if (limit == 0)
        limit = 1;
    if (len >= WORD_MAX)
        return;
    distance = suggest_distance(s->typed, word);
    if (distance <= limit && distance < s->distance && distance < strlen(word)) {
        s->distance = distance;
        s->best = word;
    }
}
