// What the load client counts, and its line of JSON.
#pragma once

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MAX_BODIES = 1024, MAX_NOTES = 20, SUB_BUCKETS = 64 };

enum failure {
    FAIL_REFUSED,
    FAIL_CONNECT,
    FAIL_RESET,
    FAIL_EOF,
    FAIL_STATUS,
    FAIL_BODY,
    FAIL_BAD,
    FAIL_TIMEOUT,
    FAILURES
};
static const char *const failure_names[FAILURES] = {"refused", "connect", "reset", "eof",
                                                    "status",  "body",    "bad",   "timeout"};

static struct {
    uint64_t started, ok, failures[FAILURES], connects, idle_ends, asked_to_close;
    uint64_t longest_ns, gap_ns, last_ok_ns;
    uint64_t latency[64 * SUB_BUCKETS]; // of answered requests, in us: 64 steps a power of two
    char *notes[MAX_NOTES];
    int n_notes;
    struct body {
        char *text;
        uint64_t count;
    } bodies[MAX_BODIES];
    int n_bodies;
} counters;

static uint64_t begin_ns;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned bucket_of(uint64_t us)
{
    if (us < SUB_BUCKETS)
        return (unsigned)us;
    unsigned shift = 63 - (unsigned)__builtin_clzll(us) - 6;
    return (shift + 1) * SUB_BUCKETS + (unsigned)(us >> shift) - SUB_BUCKETS;
}

static double bucket_ms(unsigned bucket)
{
    unsigned shift = bucket / SUB_BUCKETS;
    if (shift <= 1)
        return bucket / 1000.0;
    return (double)((uint64_t)(bucket % SUB_BUCKETS + SUB_BUCKETS) << (shift - 1)) / 1000.0;
}

static double percentile_ms(double part)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < 64 * SUB_BUCKETS; i++) {
        seen += counters.latency[i];
        if (counters.ok > 0 && (double)seen >= part * (double)counters.ok)
            return bucket_ms(i);
    }
    return 0;
}

static void count_body(const char *text)
{
    static int last;
    if (last < counters.n_bodies && strcmp(counters.bodies[last].text, text) == 0) {
        counters.bodies[last].count++;
        return;
    }
    for (last = 0; last < counters.n_bodies && strcmp(counters.bodies[last].text, text) != 0;)
        last++;
    if (last == MAX_BODIES)
        last--; // more than anyone will read
    if (last == counters.n_bodies)
        counters.bodies[counters.n_bodies++].text = strdup(text);
    counters.bodies[last].count++;
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(isprint((unsigned char)*text) ? *text : '?');
    }
    putchar('"');
}

static uint64_t failed(void)
{
    uint64_t all = 0;
    for (int i = 0; i < FAILURES; i++)
        all += counters.failures[i];
    return all;
}

static inline void print_counters(int under_way)
{
    double seconds = (double)(now_ns() - begin_ns) / 1e9;
    printf("{\"ok\": %lu, \"failed\": %lu, \"under_way\": %d, \"seconds\": %.3f, \"per_second\": %.1f, ",
           counters.ok, failed(), under_way, seconds, (double)counters.ok / seconds);
    printf("\"connects\": %lu, \"idle_ends\": %lu, \"asked_to_close\": %lu, ", counters.connects,
           counters.idle_ends, counters.asked_to_close);
    printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"gap_ms\": %.3f, \"failures\": {",
           percentile_ms(0.5), percentile_ms(0.99), (double)counters.longest_ns / 1e6,
           (double)counters.gap_ns / 1e6);
    for (int i = 0; i < FAILURES; i++)
        printf("%s\"%s\": %lu", i == 0 ? "" : ", ", failure_names[i], counters.failures[i]);
    printf("}, \"notes\": [");
    for (int i = 0; i < counters.n_notes; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_text(counters.notes[i]);
    }
    printf("], \"bodies\": {");
    for (int i = 0; i < counters.n_bodies; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_text(counters.bodies[i].text);
        printf(": %lu", counters.bodies[i].count);
    }
    printf("}}\n");
    fflush(stdout);
}
