#include "logrotate/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"
#include "logrotate/tidy.h"

#define IOPRIO_IDLE        (3 << 13) /* class 3 of linux/ioprio.h */
#define IOPRIO_WHO_PROCESS 1

struct job {
    STAILQ_ENTRY(job) entry;
    char *path;
    struct log_rotate_policy policy;
};

struct log_worker {
    void (*trouble)(void *arg, const char *text);
    void *arg;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    STAILQ_HEAD(, job) jobs;
};

static struct job *next_job(struct log_worker *w)
{
    struct job *j = NULL;

    pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->stop) && !(j = STAILQ_FIRST(&w->jobs)))
        pthread_cond_wait(&w->cond, &w->lock);
    if (j)
        STAILQ_REMOVE_HEAD(&w->jobs, entry);
    pthread_mutex_unlock(&w->lock);
    return j;
}

static void free_job(struct job *j)
{
    free(j->path);
    free(j);
}

static void *run(void *arg)
{
    struct log_worker *w = arg;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    struct job *j;

    /* A thread's own; where it is not allowed, it is no harm. */
    setpriority(PRIO_PROCESS, (id_t)tid, 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, IOPRIO_IDLE);
    while ((j = next_job(w))) {
        log_tidy(&(struct log_tidy){
            .path = j->path, .policy = &j->policy, .stop = &w->stop, .trouble = w->trouble, .arg = w->arg});
        free_job(j);
    }
    return NULL;
}

struct log_worker *log_worker_new(void (*trouble)(void *arg, const char *text), void *arg)
{
    struct log_worker *w = xcalloc(1, sizeof *w);

    w->trouble = trouble;
    w->arg = arg;
    STAILQ_INIT(&w->jobs);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->cond, NULL);
    return w;
}

void log_worker_free(struct log_worker *w)
{
    struct job *j;

    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->stop, true);
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
    if (w->running)
        pthread_join(w->thread, NULL);
    while ((j = STAILQ_FIRST(&w->jobs))) {
        STAILQ_REMOVE_HEAD(&w->jobs, entry);
        free_job(j);
    }
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void start(struct log_worker *w)
{
    sigset_t all, old;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    w->running = rc == 0;
    if (rc != 0) {
        _cleanup_free_ char *text =
            xasprintf("cannot start the thread that tidies up rotated files: %s (tried again with the next)",
                      strerror(rc));

        w->trouble(w->arg, text);
    }
}

void log_worker_tidy(struct log_worker *w, const char *path, const struct log_rotate_policy *policy)
{
    struct job *j;

    pthread_mutex_lock(&w->lock);
    STAILQ_FOREACH(j, &w->jobs, entry)
    if (strcmp(j->path, path) == 0)
        break;
    if (!j) {
        j = xcalloc(1, sizeof *j);
        j->path = xstrdup(path);
        STAILQ_INSERT_TAIL(&w->jobs, j, entry);
    }
    j->policy = *policy;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
    if (!w->running)
        start(w);
}
