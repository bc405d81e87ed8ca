/* pm monit without a terminal: the list, the log, layouts and charts. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/monit_chart.h"
#include "cli/monit_layout.h"
#include "cli/monit_log.h"
#include "cli/monit_model.h"
#include "cli/text.h"
#include "common/buf.h"
#include "common/mem.h"

struct fact {
    int id;
    const char *name, *status;
    double cpu;
    int memory, restarts, since;
};

static const struct fact three[] = {{0, "web", "online", 5, 100, 0, 3000},
                                    {1, "api", "online", 50, 300, 7, 1000},
                                    {2, "Mail\033[2J", "stopped", 0, 0, 2, 2000}};

static void update(struct monit_model *m, const struct fact *f, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:i,s:s,s:s,s:s,s:s,s:f,s:i,s:i,s:i,s:i}", "id", f[i].id, "name",
                                        f[i].name, "namespace", "default", "status", f[i].status, "mode",
                                        "fork_mode", "cpu", f[i].cpu, "memory", f[i].memory, "restarts",
                                        f[i].restarts, "uptime_since", f[i].since, "pid", 100 + f[i].id));
    monit_model_update(m, list);
    json_decref(list);
}

static void check_order(const struct monit_model *m, const char *want)
{
    char got[64] = "";

    for (size_t i = 0; i < m->n_shown; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%lld", m->rows[m->shown[i]].id);
    assert_string_equal(got, want);
}

static void sums_and_clean_names(void **state)
{
    struct monit_model m;

    (void)state;
    monit_model_init(&m);
    assert_null(monit_model_selected(&m));
    update(&m, three, 3);
    assert_int_equal(m.online, 2);
    assert_true(m.cpu > 54 && m.cpu < 56);
    assert_int_equal(m.memory, 400);
    assert_string_equal(m.rows[2].name, "Mail^[[2J");
    assert_string_equal(m.rows[0].mode, "fork");
    assert_int_equal(m.rows[2].pid, 0);
    monit_model_deinit(&m);
}

static void sorts(void **state)
{
    static const struct {
        enum monit_sort by;
        const char *want;
    } cases[] = {{MONIT_BY_CPU, "102"}, {MONIT_BY_MEMORY, "102"},   {MONIT_BY_NAME, "210"},
                 {MONIT_BY_ID, "012"},  {MONIT_BY_RESTARTS, "120"}, {MONIT_BY_UPTIME, "102"}};
    struct monit_model m;

    (void)state;
    monit_model_init(&m);
    update(&m, three, 3);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        monit_model_set_sort(&m, cases[i].by);
        check_order(&m, cases[i].want);
        assert_non_null(monit_sort_name(cases[i].by));
    }
    monit_model_deinit(&m);
}

static void selection_stays_on_its_process(void **state)
{
    const struct fact without_api[] = {three[0], three[2]};
    struct monit_model m;

    (void)state;
    monit_model_init(&m);
    update(&m, three, 3);
    monit_model_set_sort(&m, MONIT_BY_ID);
    monit_model_select_at(&m, 1);
    assert_int_equal(monit_model_selected(&m)->id, 1);
    monit_model_set_sort(&m, MONIT_BY_CPU);
    assert_int_equal(monit_model_selected(&m)->id, 1);
    monit_model_set_sort(&m, MONIT_BY_ID);
    update(&m, without_api, 2); /* the one in its place */
    assert_int_equal(monit_model_selected(&m)->id, 2);
    monit_model_move(&m, 5);
    assert_int_equal(monit_model_selected(&m)->id, 2);
    monit_model_move(&m, -5);
    assert_int_equal(monit_model_selected(&m)->id, 0);
    monit_model_select_at(&m, 99);
    assert_int_equal(monit_model_selected(&m)->id, 0);
    update(&m, NULL, 0);
    assert_null(monit_model_selected(&m));
    update(&m, three, 3);
    assert_non_null(monit_model_selected(&m));
    monit_model_deinit(&m);
}

static void filters(void **state)
{
    struct monit_model m;

    (void)state;
    monit_model_init(&m);
    update(&m, three, 3);
    monit_model_set_sort(&m, MONIT_BY_ID);
    monit_model_set_filter(&m, "MAIL");
    check_order(&m, "2");
    assert_int_equal(monit_model_selected(&m)->id, 2);
    monit_model_set_filter(&m, "online");
    check_order(&m, "01");
    monit_model_set_filter(&m, "1");
    check_order(&m, "1");
    monit_model_set_filter(&m, "nothing");
    assert_null(monit_model_selected(&m));
    monit_model_move(&m, 1);
    monit_model_set_filter(&m, "");
    check_order(&m, "012");
    monit_model_deinit(&m);
}

static void reveals(void **state)
{
    struct fact many[30];
    struct monit_model m;

    (void)state;
    monit_model_init(&m);
    for (int i = 0; i < 30; i++)
        many[i] = (struct fact){i, "x", "online", 0, 0, 0, 0};
    update(&m, many, 30);
    monit_model_move(&m, 20);
    monit_model_reveal(&m, 10);
    assert_int_equal(m.top, 11);
    monit_model_move(&m, -15);
    monit_model_reveal(&m, 10);
    assert_int_equal(m.top, 5);
    monit_model_move(&m, 100);
    monit_model_reveal(&m, 10);
    assert_int_equal(m.top, 20);
    update(&m, many, 3);
    monit_model_reveal(&m, 10);
    assert_int_equal(m.top, 0);
    monit_model_reveal(&m, 0);
    monit_model_deinit(&m);
}

static void history(void **state)
{
    struct fact one = {4, "a", "online", 0, 0, 0, 0};
    struct monit_model m;
    float v[MONIT_HISTORY];

    (void)state;
    monit_model_init(&m);
    for (int i = 0; i < MONIT_HISTORY + 5; i++) {
        one.cpu = i;
        update(&m, &one, 1);
    }
    assert_int_equal(monit_ring_last(&m.rows[0].cpus, v, 3), 3);
    assert_int_equal((int)v[0], MONIT_HISTORY + 2);
    assert_int_equal((int)v[2], MONIT_HISTORY + 4);
    assert_int_equal(monit_ring_last(&m.rows[0].cpus, v, MONIT_HISTORY), MONIT_HISTORY);
    assert_int_equal((int)v[0], 5);
    one.id = 5; /* another process begins anew */
    update(&m, &one, 1);
    assert_int_equal(monit_ring_last(&m.rows[0].cpus, v, 9), 1);
    monit_model_deinit(&m);
}

static void log_add(struct monit_log *l, const char *text)
{
    json_t *p =
        json_pack("{s:[{s:I,s:s,s:s}]}", "lines", "time", (json_int_t)1, "stream", "out", "text", text);

    monit_log_take(l, p);
    json_decref(p);
}

static void log_is_bounded_and_harmless(void **state)
{
    struct monit_log *l = xcalloc(1, sizeof(*l));
    char text[32];
    json_t *p;

    (void)state;
    monit_log_clear(l);
    for (int i = 0; i < MONIT_LOG_LINES + 10; i++) {
        snprintf(text, sizeof(text), "line %d", i);
        log_add(l, text);
    }
    assert_int_equal(l->n, MONIT_LOG_LINES);
    assert_string_equal(monit_log_line(l, 0)->text, "line 10");
    log_add(l, "a\tb\033[2J\033[31mred\r");
    assert_string_equal(monit_log_line(l, l->n - 1)->text, "a b^[[2Jred");
    p = json_pack("{s:i}", "missed", 7);
    monit_log_take(l, p);
    json_decref(p);
    assert_true(monit_log_line(l, l->n - 1)->note);
    assert_non_null(strstr(monit_log_line(l, l->n - 1)->text, "7 lines"));
    p = json_pack("{s:[{s:s,s:s}]}", "lines", "stream", "err", "base64", "/2E=");
    monit_log_take(l, p);
    json_decref(p);
    assert_string_equal(monit_log_line(l, l->n - 1)->text, "\\xffa");
    assert_true(monit_log_line(l, l->n - 1)->error);
    monit_log_clear(l);
    free(l);
}

static void log_scrolls_and_searches(void **state)
{
    struct monit_log *l = xcalloc(1, sizeof(*l));
    char text[32];

    (void)state;
    monit_log_clear(l);
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "line %d%s", i, i % 10 == 5 ? " Apple" : "");
        log_add(l, text);
    }
    assert_true(l->follow);
    monit_log_scroll(l, 5, 10);
    assert_int_equal(l->up, 5);
    assert_false(l->follow);
    log_add(l, "new"); /* what is looked at stays */
    assert_int_equal(l->up, 6);
    monit_log_scroll(l, 1000, 10);
    assert_int_equal(l->up, 41);
    monit_log_scroll(l, -1000, 10);
    assert_true(l->follow);
    assert_false(monit_log_find(l, true));
    snprintf(l->search, sizeof(l->search), "apple");
    assert_true(monit_log_find(l, true));
    assert_int_equal(l->n - 1 - l->up, 45);
    assert_true(monit_log_find(l, true));
    assert_int_equal(l->n - 1 - l->up, 35);
    assert_true(monit_log_find(l, false));
    assert_false(monit_log_find(l, false));
    assert_int_equal(l->n - 1 - l->up, 45);
    monit_log_clear(l);
    free(l);
}

static void check_pane(const struct monit_rect *r, int rows, int columns)
{
    if (!r->rows)
        return;
    assert_true(r->y >= 1 && r->y + r->rows <= rows - 1);
    assert_true(r->x >= 0 && r->x + r->columns <= columns && r->columns > 0);
}

static void layouts_fit(void **state)
{
    (void)state;
    for (int rows = 1; rows < 80; rows++)
        for (int columns = 1; columns < 260; columns++)
            for (int zoom = 0; zoom <= MONIT_PANES; zoom++) {
                struct monit_layout l = monit_layout(rows, columns, (enum monit_pane)zoom);

                if (!l.fits) {
                    assert_true(rows < MONIT_LEAST_ROWS || columns < MONIT_LEAST_COLUMNS);
                    continue;
                }
                check_pane(&l.list, rows, columns);
                check_pane(&l.log, rows, columns);
                check_pane(&l.details, rows, columns);
                check_pane(&l.charts, rows, columns);
                assert_true(l.list.rows >= 2 || l.log.rows >= 2 || l.details.rows >= 2);
            }
}

static void check_text(struct buf *b, const char *want)
{
    assert_string_equal(b->data, want);
    buf_free(b);
}

static void bars_and_charts(void **state)
{
    const float v[] = {0, 50, 100};
    struct buf b = {0};

    (void)state;
    monit_bar(&b, 0.5, 4, true);
    check_text(&b, "██  ");
    monit_bar(&b, 0.001, 2, true);
    check_text(&b, "▏ ");
    monit_bar(&b, 7, 3, false);
    check_text(&b, "###");
    monit_sparkline(&b, v, 3, 100, 5, true);
    check_text(&b, "  ▁▄█");
    monit_sparkline(&b, v, 3, 100, 2, false);
    check_text(&b, "-#");
    monit_chart_row(&b, v, 3, 100, 2, 0, 1, true);
    check_text(&b, "⢀⣼");
    monit_chart_row(&b, v, 3, 100, 3, 0, 2, false);
    check_text(&b, "  #");
    monit_chart_row(&b, v, 3, 100, 3, 1, 2, false);
    check_text(&b, "_##");
    assert_true(monit_scale(v, 3, 1) == 100);
    assert_true(monit_scale(v, 1, 1) == 1);
    assert_true(monit_scale_bytes(v, 3) == 1024 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_clean_names),
        cmocka_unit_test(sorts),
        cmocka_unit_test(selection_stays_on_its_process),
        cmocka_unit_test(filters),
        cmocka_unit_test(reveals),
        cmocka_unit_test(history),
        cmocka_unit_test(log_is_bounded_and_harmless),
        cmocka_unit_test(log_scrolls_and_searches),
        cmocka_unit_test(layouts_fit),
        cmocka_unit_test(bars_and_charts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
