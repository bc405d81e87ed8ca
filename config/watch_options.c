#include "config/watch_options.h"

#include "common/mem.h"

static const struct option_row watch_rows[] = {
    {.name = "use_polling",
     .type = OPT_BOOL,
     .store = STORE_BOOL,
     .offset = offsetof(struct watch_options, use_polling),
     .max = 1,
     .help = "Look at the files again and again; for network file systems, where the kernel tells nothing."},
    {.name = "interval",
     .type = OPT_DURATION,
     .store = STORE_INT,
     .offset = offsetof(struct watch_options, interval),
     .unit = "ms",
     .min = 100,
     .max = 3600000,
     .def = 2000,
     .help = "Time between two looks when polling."},
    {.name = "follow_symlinks",
     .type = OPT_BOOL,
     .store = STORE_BOOL,
     .offset = offsetof(struct watch_options, follow_symlinks),
     .max = 1,
     .def = true,
     .help = "Watch folders that links lead to as well."},
    {.name = "ignored",
     .type = OPT_TEXTS,
     .store = STORE_STRV,
     .offset = offsetof(struct watch_options, ignored),
     .help = "More patterns of what does not count, beside ignore_watch."},
};

/* The rest of chokidar's options. */
static const char *const watch_idle[] = {"persistent",
                                         "ignore_initial",
                                         "binary_interval",
                                         "always_stat",
                                         "depth",
                                         "await_write_finish",
                                         "ignore_permission_errors",
                                         "atomic",
                                         "disable_globbing",
                                         "use_fs_events",
                                         "cwd",
                                         NULL};

const struct option_group watch_group = {
    .rows = watch_rows,
    .n = ARRAY_LEN(watch_rows),
    .idle = watch_idle,
    .idle_why = "folders are watched by the kernel's inotify here, and a save by renaming is one change",
};
