/* What the load client counts: requests, failures by kind, latency, and the first words of the bodies. */
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum failure { F_REFUSED, F_RESET, F_EOF, F_BAD_STATUS, F_TIMEOUT, F_OTHER, F_COUNT };

static const char *const failure_names[F_COUNT] = {"refused",    "reset",   "eof",
                                                   "bad_status", "timeout", "other"};

/* A histogram with 64 steps for each power of two: exact below 128 µs, within 1.6 % above. */
#define STEP_BITS 6
#define STEPS     (1 << STEP_BITS)
#define BUCKETS   (STEPS * 40)
#define MAX_WORDS 64
#define MAX_TOLD  10

struct told {
    int64_t at_us;
    enum failure kind;
    char what[120];
};

struct stats {
    uint64_t ok, failed, connects, idle_closes;
    uint64_t failures[F_COUNT];
    uint64_t latency[BUCKETS];
    int64_t latency_max;
    struct {
        char word[48];
        uint64_t count;
    } words[MAX_WORDS]; /* the last one stands for all that found no place */
    int n_words;
    struct told told[MAX_TOLD]; /* the first failures */
    int n_told;
};

static inline int bucket_of(int64_t us)
{
    if (us < 2 * STEPS)
        return us < 0 ? 0 : (int)us;
    int shift = 63 - __builtin_clzll((unsigned long long)us) - STEP_BITS;
    int bucket = shift * STEPS + (int)(us >> shift);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The smallest value of a bucket. */
static inline int64_t bucket_value(int bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    int shift = bucket / STEPS - 1;
    return (int64_t)(bucket - shift * STEPS) << shift;
}

static inline int64_t percentile(const struct stats *s, double share)
{
    uint64_t before = 0;
    for (int i = 0; i < BUCKETS; i++) {
        before += s->latency[i];
        if (before > 0 && (double)before >= share * (double)s->ok)
            return bucket_value(i);
    }
    return 0;
}

static inline void stats_word(struct stats *s, const char *body)
{
    char word[sizeof(s->words[0].word)];
    size_t len = strcspn(body, " \r\n\t");
    snprintf(word, sizeof(word), "%.*s", (int)(len < sizeof(word) ? len : sizeof(word) - 1), body);
    for (char *c = word; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    int i = 0;
    while (i < s->n_words && strcmp(s->words[i].word, word) != 0)
        i++;
    if (i >= MAX_WORDS - 1) {
        i = MAX_WORDS - 1;
        strcpy(word, "(others)");
    }
    if (i >= s->n_words) {
        s->n_words = i + 1;
        strcpy(s->words[i].word, word);
    }
    s->words[i].count++;
}

static inline void stats_ok(struct stats *s, const char *body, int64_t us)
{
    s->ok++;
    s->latency[bucket_of(us)]++;
    if (us > s->latency_max)
        s->latency_max = us;
    stats_word(s, body);
}

/* `what` must be fit for a JSON string. */
static inline void stats_failed(struct stats *s, int64_t at_us, enum failure kind, const char *what)
{
    s->failed++;
    s->failures[kind]++;
    if (s->n_told < MAX_TOLD) {
        struct told *t = &s->told[s->n_told++];
        t->at_us = at_us;
        t->kind = kind;
        snprintf(t->what, sizeof(t->what), "%s", what);
    }
}

/* One JSON object on one line. */
static inline void stats_print(const struct stats *s, const char *mode, int connections, double seconds)
{
    printf("{\"mode\":\"%s\",\"connections\":%d,\"seconds\":%.3f,\"requests\":%llu,\"ok\":%llu,\"failed\":%"
           "llu,\"rps\":%.1f,",
           mode, connections, seconds, (unsigned long long)(s->ok + s->failed), (unsigned long long)s->ok,
           (unsigned long long)s->failed, seconds > 0 ? (double)s->ok / seconds : 0.0);
    printf("\"connects\":%llu,\"idle_closes\":%llu,\"failures\":{", (unsigned long long)s->connects,
           (unsigned long long)s->idle_closes);
    for (int i = 0; i < F_COUNT; i++)
        printf("%s\"%s\":%llu", i ? "," : "", failure_names[i], (unsigned long long)s->failures[i]);
    printf("},\"latency_us\":{\"p50\":%lld,\"p99\":%lld,\"max\":%lld},\"words\":{",
           (long long)percentile(s, 0.5), (long long)percentile(s, 0.99), (long long)s->latency_max);
    for (int i = 0; i < s->n_words; i++)
        printf("%s\"%s\":%llu", i ? "," : "", s->words[i].word, (unsigned long long)s->words[i].count);
    printf("},\"first_failures\":[");
    for (int i = 0; i < s->n_told; i++)
        printf("%s{\"at_ms\":%lld,\"kind\":\"%s\",\"what\":\"%s\"}", i ? "," : "",
               (long long)(s->told[i].at_us / 1000), failure_names[s->told[i].kind], s->told[i].what);
    printf("]}\n");
    fflush(stdout);
}
