/* What pm monit knows of the processes: the list, its order, what is selected, and how it went. No terminal
 * and no daemon here. */
#ifndef PM_CLI_MONIT_MODEL_H
#define PM_CLI_MONIT_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONIT_HISTORY    600 /* samples, one a second */
#define MONIT_FILTER_MAX 64  /* bytes, with the NUL */

/* The last values of one figure. */
struct monit_ring {
    float *v; /* MONIT_HISTORY of them, from the first one on */
    unsigned n, next;
};

void monit_ring_add(struct monit_ring *r, double value);
/* The newest `want` values, oldest first, in out. Returns how many there are. */
size_t monit_ring_last(const struct monit_ring *r, float *out, size_t want);

struct monit_row {
    long long id, pid, restarts, instance;
    char *name, *ns, *status, *mode, *user, *reason; /* harmless for a terminal */
    double cpu;                                      /* % of one core */
    uint64_t memory;                                 /* bytes */
    int64_t since;                                   /* ms since the epoch; 0 = never started */
    bool lives;
    bool no_log; /* the app keeps none (disable_logs) */
    struct monit_ring cpus, memories;
};

enum monit_sort {
    MONIT_BY_CPU,
    MONIT_BY_MEMORY,
    MONIT_BY_NAME,
    MONIT_BY_ID,
    MONIT_BY_RESTARTS,
    MONIT_BY_UPTIME,
    MONIT_SORTS
};

struct monit_model {
    struct monit_row *rows; /* by id */
    size_t n;
    size_t *shown; /* of rows: those that pass the filter, in order */
    size_t n_shown;
    size_t top; /* the first of them on the screen */
    enum monit_sort sort;
    char filter[MONIT_FILTER_MAX]; /* "": all */
    long long selected;            /* an id; -1 = none */
    unsigned online;
    double cpu; /* of all */
    uint64_t memory;
};

void monit_model_init(struct monit_model *m);
void monit_model_deinit(struct monit_model *m);

/* Takes the answer to `list`. The selection stays on its process; when that is gone, on the one in its place.
 */
void monit_model_update(struct monit_model *m, const json_t *records);

const char *monit_sort_name(enum monit_sort s);
void monit_model_set_sort(struct monit_model *m, enum monit_sort s);
/* Names, namespaces and statuses that hold the text, whatever the case, and the id itself, pass. */
void monit_model_set_filter(struct monit_model *m, const char *text);

const struct monit_row *monit_model_selected(const struct monit_model *m); /* NULL: nothing is shown */
void monit_model_move(struct monit_model *m, long by);
void monit_model_select_at(struct monit_model *m, size_t place); /* of those shown; nothing when beyond */

/* Moves `top` so that the selected one is among `height` rows. */
void monit_model_reveal(struct monit_model *m, size_t height);

#endif
