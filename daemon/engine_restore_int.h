/* What the files engine_restore*.c share; nobody else includes this. */
#ifndef PM_DAEMON_ENGINE_RESTORE_INT_H
#define PM_DAEMON_ENGINE_RESTORE_INT_H

#include "daemon/engine.h"

struct record {
    struct kw_msg m; /* without descriptors: they are in the holds */
    json_t *blob;
    enum process_role role;
    bool latest;            /* the keeper has no later one of this slot */
    struct process *shadow; /* of a reload: not the slot's own run */
};

/* A process that had a child at the last commit. */
struct candidate {
    uint32_t id;
    struct run_pipes pipes;
};

struct restore {
    struct record *records; /* of runs */
    size_t n_records;
    struct candidate *candidates;
    size_t n_candidates;
    struct kw_msg *later; /* what came after a record: replayed in order */
    size_t n_later;
    bool snapshot_done, image_done;
    bool image_failed; /* state.db cannot be used, and must not be replaced */
    bool damaged;      /* state.db was lost or is old: what runs is taken in */
    bool same_boot;
    bool had_other_keeper; /* than the one that is now: that could have left what nobody knows */
    uint64_t last_run;     /* in state.db */
};

struct app *restore_app_by_id(struct engine *e, uint64_t id); /* NULL when there is none */

/* engine_restore_match.c: everything is here; all life cycles go on. */
void restore_match(struct engine *e);

#endif
