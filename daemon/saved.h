/*
 * The saved list: what `pm save` stores, `resurrect` brings back, and a daemon begins with after a reboot or
 * a shutdown. Two are kept, as text: the last, and the one before, should the last be damaged. Settings are
 * kept beside them in the same way.
 */
#ifndef PM_DAEMON_SAVED_H
#define PM_DAEMON_SAVED_H

#include "daemon/engine.h"

struct saved_process {
    uint32_t instance;
    bool up;
};

struct saved_app {
    struct app_spec *spec; /* NULL once it was taken */
    struct saved_process *processes;
    size_t n;
};

struct saved_list {
    struct saved_app *apps;
    size_t n;
};

/* Keeps what was found in state.db. */
void saved_load(struct engine *e, const struct store_image *image);
void saved_free(struct engine *e);
void saved_put_all(struct engine *e); /* to a state.db that is new */

/* The present list becomes the saved one. How many processes it has. */
size_t saved_store(struct engine *e);
void saved_clear(struct engine *e);

/*
 * The saved list, or the one before when it is damaged; then `note` tells so. 0, -ENOENT when there is none,
 * -EBADMSG when none can be read. The caller frees.
 */
int saved_read(struct engine *e, struct saved_list *out, char *note, size_t cap, struct err *err);
void saved_list_free(struct saved_list *l);

/* A list of {"spec", "processes": [{"instance", "up"}]}. 0, or -EBADMSG with the message and an empty `out`.
 */
int saved_list_from_json(const json_t *apps, struct saved_list *out, struct err *err);

/*
 * At the beginning: is it after a reboot or a shutdown, and is there a saved list? Then exactly that becomes
 * the list, and true is returned. What has the same name, namespace, script and instance as before keeps its
 * id and its history.
 */
bool saved_begin(struct engine *e, const struct store_image *image, bool same_boot, bool damaged);

#endif
