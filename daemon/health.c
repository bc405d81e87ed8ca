#include "daemon/health.h"

#include <assert.h>
#include <stdio.h>

#include "common/mem.h"

#define EARLY_FIRST_MS 50u /* before the first check of a new process, then twice as long each time... */
#define EARLY_MOST_MS  1000u

static const char *const words[] = {
    [HEALTH_STARTING] = "starting", [HEALTH_HEALTHY] = "healthy", [HEALTH_UNHEALTHY] = "unhealthy"};
static_assert(ARRAY_LEN(words) == HEALTH_UNHEALTHY + 1, "a state has no word");

const char *health_state_word(enum health_state s)
{
    return words[s];
}

void health_begin(struct health *h, uint64_t now_ms, uint64_t age_ms)
{
    *h = (struct health){.began_ms = now_ms > age_ms ? now_ms - age_ms : 0};
}

enum health_news health_result(struct health *h, const struct health_rules *r, uint64_t now_ms, bool ok,
                               const char *why)
{
    enum health_state was = h->state;

    h->checked = true;
    h->ok = ok;
    snprintf(h->words, sizeof(h->words), "%s", why ? why : "");
    if (ok) {
        h->failures = 0;
        h->state = HEALTH_HEALTHY;
        return was == HEALTH_HEALTHY ? HEALTH_NO_NEWS : HEALTH_NOW_HEALTHY;
    }
    if (was == HEALTH_STARTING)
        h->early++;
    if (was == HEALTH_STARTING && now_ms - h->began_ms < r->start_period)
        return HEALTH_NO_NEWS;
    if (++h->failures < r->retries)
        return HEALTH_NO_NEWS;
    h->state = HEALTH_UNHEALTHY;
    return HEALTH_NOW_UNHEALTHY;
}

uint32_t health_next(struct health *h, const struct health_rules *r, bool online, uint32_t random)
{
    uint32_t in = EARLY_FIRST_MS;

    if (online && !h->checked)
        return random % (r->interval + 1);
    if (online || h->state == HEALTH_HEALTHY)
        return r->interval;
    for (unsigned i = 0; i < h->early && in < EARLY_MOST_MS; i++)
        in *= 2;
    in = in < EARLY_MOST_MS ? in : EARLY_MOST_MS;
    return in < r->interval ? in : r->interval;
}
