#include "cli/monit_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jsonget.h"
#include "cli/monit.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/mem.h"

#define PERIOD_MS   1000
#define RETRY_MS    300
#define SETTLE_MS   150  /* a selection that stays so long has its log read */
#define LOG_PAUSE   100  /* between two looks at the log's connection: a flood is the daemon's to count */
#define SILENCE_MS  5000 /* without an answer: it is said */
#define LOG_HISTORY 500
#define READ_MOST   (4u * 1024 * 1024)
#define LOG_MOST    (128u * 1024)
#define LOG_LAG_US  3000000 /* a log shown so late jumps to its end */

void monit_client_init(struct monit_client *k)
{
    *k = (struct monit_client){.main.fd = -1, .log.fd = -1, .detail_of = -1, .log_of = -1};
}

void monit_client_deinit(struct monit_client *k)
{
    monit_conn_close(&k->main);
    monit_conn_close(&k->log);
}

static void close_log(struct monit_client *k)
{
    monit_conn_close(&k->log);
    k->log_up = false;
    k->log_lines = 0;
    k->log_of = -1;
}

static void trouble(struct monit *m, const char *words)
{
    _cleanup_free_ char *clean = text_clean_dup(words);

    snprintf(m->client.trouble, sizeof(m->client.trouble), "%s", clean);
    m->dirty = true;
}

/* The connection is of no use any more. */
static void lost(struct monit *m, const char *words)
{
    struct monit_client *k = &m->client;

    for (size_t i = 0; i < MONIT_ACTIONS_MAX; i++)
        if (k->actions[i].request)
            monit_say(m, true, "the daemon ended before it had answered \"%s\"", k->actions[i].what);
    memset(k->actions, 0, sizeof(k->actions));
    monit_conn_close(&k->main);
    close_log(k);
    k->log_new = true;
    k->up = false;
    k->list_id = k->detail_id = 0;
    k->next_try = clock_mono_ms() + RETRY_MS;
    trouble(m, words);
}

static void open_main(struct monit *m)
{
    struct monit_client *k = &m->client;
    int rc = monit_conn_open(&k->main, &m->c->home, m->c->by);
    char words[MONIT_WORDS_MAX];

    k->next_try = clock_mono_ms() + RETRY_MS;
    k->asked_at = clock_mono_ms();
    if (rc == 0)
        return;
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        snprintf(words, sizeof(words), "no daemon runs any more; it is shown again when one does (pm start)");
    else
        snprintf(words, sizeof(words), "cannot connect to the daemon: %s", strerror(-rc));
    trouble(m, words);
}

static json_t *of_process(long long id)
{
    char word[24];

    snprintf(word, sizeof(word), "%lld", id);
    return json_pack("{s:[s]}", "selectors", word);
}

static void ask_detail(struct monit *m)
{
    struct monit_client *k = &m->client;
    const struct monit_row *r = monit_model_selected(&m->model);

    if (!k->up || !r)
        return;
    k->detail_of = r->id;
    k->detail_id = monit_conn_send(&k->main, "describe", of_process(r->id));
}

void monit_client_selected(struct monit *m)
{
    close_log(&m->client); /* its lines are another process's now */
    m->client.settled_at = clock_mono_ms() + SETTLE_MS;
    ask_detail(m);
}

/* Another process than the one whose log is open? */
static void turn_log(struct monit *m, uint64_t now)
{
    struct monit_client *k = &m->client;
    const struct monit_row *r = monit_model_selected(&m->model);
    long long id = r ? r->id : -1;

    if (k->log_of == id || now < k->settled_at)
        return;
    close_log(k);
    k->settled_at = now + RETRY_MS;
    k->next_log = 0;
    if (id < 0 || monit_conn_open(&k->log, &m->c->home, m->c->by) < 0)
        return;
    k->log_of = id;
    monit_conn_flush(&k->log); /* what fails now is seen when it is read */
}

static void sooner(uint64_t *due, uint64_t at)
{
    if (at < *due)
        *due = at;
}

/* ms until something is to be done without a word from the daemon. */
static int next_turn(const struct monit *m, uint64_t now)
{
    const struct monit_client *k = &m->client;
    const struct monit_row *r = monit_model_selected(&m->model);
    uint64_t due = now + PERIOD_MS;

    if (k->main.fd < 0)
        sooner(&due, k->next_try);
    if (k->up && !k->list_id)
        sooner(&due, k->next_list);
    if (k->up && k->log_of != (r ? r->id : -1))
        sooner(&due, k->settled_at);
    if (k->log.fd >= 0 && now < k->next_log)
        sooner(&due, k->next_log);
    return due <= now ? 0 : (int)(due - now);
}

int monit_client_turn(struct monit *m, uint64_t now)
{
    struct monit_client *k = &m->client;

    if (k->main.fd < 0) {
        if (now >= k->next_try)
            open_main(m);
    } else if (now >= k->asked_at + SILENCE_MS && (k->list_id || !k->up) && !*k->trouble) {
        trouble(m, "the daemon's engine does not answer; its keeper holds your apps");
    }
    if (k->up && !k->list_id && now >= k->next_list) {
        k->list_id = monit_conn_send(&k->main, "list", NULL);
        k->asked_at = now;
        k->next_list = now + PERIOD_MS;
        ask_detail(m);
    }
    if (k->up)
        turn_log(m, now);
    if (k->main.fd >= 0 && monit_conn_flush(&k->main) < 0)
        lost(m, "the connection to the daemon broke; connecting again");
    return next_turn(m, now);
}

/* The answer to hello: a daemon, perhaps another one than before. False: it is none for us. */
static bool on_hello(struct monit *m, const json_t *msg)
{
    struct monit_client *k = &m->client;
    const json_t *result = json_object_get(msg, "result");

    if (!result) {
        char words[MONIT_WORDS_MAX];

        snprintf(words, sizeof(words), "%s", j_text(json_object_get(msg, "error"), "message"));
        lost(m, words);
        k->next_try = clock_mono_ms() + PERIOD_MS;
        return false;
    }
    if (k->was_up && j_int(result, "pid") != k->daemon_pid)
        monit_say(m, false, "the daemon was replaced (its engine is process %lld now); this goes on",
                  j_int(result, "pid"));
    else if (k->was_up)
        monit_say(m, false, "connected again");
    k->daemon_pid = j_int(result, "pid");
    k->up = k->was_up = true;
    k->trouble[0] = '\0';
    k->next_list = 0;
    m->dirty = true;
    return true;
}

/* The first of the outcomes that is none. */
static const json_t *first_failure(const json_t *result)
{
    const json_t *o;
    size_t i;

    json_array_foreach (json_object_get(result, "processes"), i, o)
        if (!json_is_true(json_object_get(o, "ok")))
            return o;
    return NULL;
}

static void on_action(struct monit *m, struct monit_action *a, const json_t *msg)
{
    const json_t *error = json_object_get(msg, "error"), *failure;
    const json_t *result = json_object_get(msg, "result");

    if (error)
        monit_say(m, true, "%s: %s", a->what, j_text(error, "message"));
    else if ((failure = first_failure(result)))
        monit_say(m, true, "%s: %s", a->what,
                  *j_text(failure, "error") ? j_text(failure, "error") : "it did not come to that");
    else if (json_array_size(json_object_get(result, "notes")))
        monit_say(m, false, "%s: done; %s", a->what,
                  json_string_value(json_array_get(json_object_get(result, "notes"), 0)));
    else
        monit_say(m, false, "%s: done", a->what);
    a->request = 0;
    m->client.next_list = 0;
}

static bool on_main(void *arg, const json_t *msg)
{
    struct monit *m = arg;
    struct monit_client *k = &m->client;
    long long id = j_int(msg, "id");
    const json_t *result = json_object_get(msg, "result");

    if (!k->up)
        return on_hello(m, msg);
    if (id && id == k->list_id) {
        k->list_id = 0;
        k->trouble[0] = '\0';
        if (json_is_array(result)) {
            monit_model_update(&m->model, result);
            monit_selection_moved(m);
        }
        m->dirty = true;
    } else if (id && id == k->detail_id) {
        const struct monit_row *r = monit_model_selected(&m->model);

        k->detail_id = 0;
        if (r && r->id == k->detail_of && json_array_size(result)) {
            json_decref(m->detail);
            m->detail = json_incref(json_array_get(result, 0));
            m->dirty = true;
        }
    }
    for (size_t i = 0; i < MONIT_ACTIONS_MAX; i++)
        if (id && id == k->actions[i].request)
            on_action(m, &k->actions[i], msg);
    return true;
}

/*
 * The daemon reads what it has stored at our pace, and of a flood ever more is stored. Lines beyond the
 * history that was asked for were written since; when they are old, the log is opened again, at its end.
 */
static bool too_late(struct monit *m, const json_t *lines)
{
    const json_t *last = json_array_get(lines, json_array_size(lines) - 1);

    m->client.log_lines += json_array_size(lines);
    return last && m->log.follow && m->client.log_lines > LOG_HISTORY &&
           (int64_t)clock_wall_us() - j_int(last, "time") > LOG_LAG_US;
}

static bool on_log(void *arg, const json_t *msg)
{
    struct monit *m = arg;
    struct monit_client *k = &m->client;

    if (!k->log_up) {
        json_t *params = of_process(k->log_of);

        if (!json_object_get(msg, "result"))
            return false;
        k->log_up = true;
        json_object_set_new(params, "lines", json_integer(LOG_HISTORY));
        json_object_set_new(params, "follow", json_true());
        /* In parts: under a flood the answer as a whole would come when the flood is over. */
        json_object_set_new(params, "stream", json_true());
        monit_conn_send(&k->log, "logs", params);
        return true;
    }
    if (k->log_new) /* what is there of before is in this log's history again */
        monit_log_clear(&m->log);
    k->log_new = false;
    if (strcmp(j_text(msg, "method"), "log") == 0)
        monit_log_take(&m->log, json_object_get(msg, "params"));
    else if (json_object_get(msg, "error"))
        monit_say(m, true, "the log cannot be shown: %s", j_text(json_object_get(msg, "error"), "message"));
    else
        monit_log_take(&m->log, json_object_get(msg, "result"));
    m->dirty = true;
    if (!too_late(m, json_object_get(json_object_get(msg, "params"), "lines")))
        return true;
    monit_log_note(&m->log,
                   "(lines are left out here: they come faster than they can be shown; pm logs has them)");
    close_log(k); /* what is shown stays */
    return false;
}

void monit_client_poll(const struct monit_client *k, struct pollfd *p, uint64_t now)
{
    p[0] = (struct pollfd){.fd = k->main.fd, .events = (short)(POLLIN | (k->main.out.len ? POLLOUT : 0))};
    /* Not each time something is there: the daemon counts what a flood loses, and this stays cheap. */
    p[1] = (struct pollfd){.fd = now >= k->next_log ? k->log.fd : -1, .events = POLLIN};
}

void monit_client_io(struct monit *m, const struct pollfd *p)
{
    struct monit_client *k = &m->client;

    if (p[0].revents && k->main.fd == p[0].fd && monit_conn_read(&k->main, READ_MOST, on_main, m) < 0 &&
        k->main.fd >= 0)
        lost(m, "the connection to the daemon broke; connecting again");
    if (p[1].revents && k->log.fd == p[1].fd) {
        k->next_log = clock_mono_ms() + LOG_PAUSE;
        if (monit_conn_read(&k->log, LOG_MOST, on_log, m) < 0 || monit_conn_flush(&k->log) < 0) {
            close_log(k);
            k->log_new = true;
        }
    }
}

void monit_client_act(struct monit *m, const char *method, const char *verb, long long id, const char *name)
{
    struct monit_client *k = &m->client;

    if (!k->up) {
        monit_say(m, true, "there is no daemon to ask");
        return;
    }
    for (size_t i = 0; i < MONIT_ACTIONS_MAX; i++) {
        struct monit_action *a = &k->actions[i];

        if (a->request)
            continue;
        a->request = monit_conn_send(&k->main, method, of_process(id));
        snprintf(a->what, sizeof(a->what), "%s %.100s (%lld)", verb, name, id);
        monit_say(m, false, "%s …", a->what);
        return;
    }
    monit_say(m, true, "%d requests wait for their answers; this one was not made", MONIT_ACTIONS_MAX);
}
