/* What keys and the mouse do. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "cli/monit.h"
#include "cli/monit_screen.h"
#include "cli/text.h"
#include "common/mem.h"

#include <curses.h>

#define WHEEL 3        /* lines */
#define FAR   1000000L /* beyond any list */

static size_t height_of(const struct monit_rect *r)
{
    return r->rows > 1 ? (size_t)r->rows - 1 : 0;
}

/* Down when positive. */
static void move_in(struct monit *m, enum monit_pane pane, long by)
{
    if (pane == MONIT_LIST) {
        monit_model_move(&m->model, by);
        monit_selection_moved(m);
    } else if (pane == MONIT_LOG) {
        monit_log_scroll(&m->log, -by, height_of(&m->layout.log));
    } else {
        long top = (long)m->detail_top + by;

        m->detail_top = top < 0 ? 0 : top > 200 ? 200 : (size_t)top; /* drawing knows the real end */
    }
}

static long page_of(const struct monit *m)
{
    const struct monit_rect *r = m->pane == MONIT_LIST  ? &m->layout.list
                                 : m->pane == MONIT_LOG ? &m->layout.log
                                                        : &m->layout.details;

    return r->rows > 2 ? r->rows - 2 : 1;
}

static bool is_in(const struct monit_rect *r, int y, int x)
{
    return y >= r->y && y < r->y + r->rows && x >= r->x && x < r->x + r->columns;
}

static void mouse(struct monit *m)
{
    enum monit_pane pane = MONIT_PANES;
    MEVENT e;

    if (getmouse(&e) != OK)
        return;
    if (is_in(&m->layout.list, e.y, e.x))
        pane = MONIT_LIST;
    else if (is_in(&m->layout.log, e.y, e.x))
        pane = MONIT_LOG;
    else if (is_in(&m->layout.details, e.y, e.x) || is_in(&m->layout.charts, e.y, e.x))
        pane = MONIT_DETAILS;
    if (pane == MONIT_PANES)
        return;
    if (e.bstate & BUTTON4_PRESSED) {
        move_in(m, pane, -WHEEL);
    } else if (e.bstate & BUTTON5_PRESSED) {
        move_in(m, pane, WHEEL);
    } else if (e.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED)) {
        m->pane = pane;
        if (pane == MONIT_LIST && e.y > m->layout.list.y) {
            monit_model_select_at(&m->model, m->model.top + (size_t)(e.y - m->layout.list.y - 1));
            monit_selection_moved(m);
        }
    }
}

static void prompt(struct monit *m, enum monit_mode mode, const char *text)
{
    m->mode = mode;
    snprintf(m->before, sizeof(m->before), "%s", text);
    m->input[0] = '\0';
}

/* What was typed takes effect while it is typed; Esc brings back what was before. */
static void apply_input(struct monit *m, const char *text)
{
    if (m->mode == MONIT_FILTER) {
        monit_model_set_filter(&m->model, text);
        monit_selection_moved(m);
    } else {
        snprintf(m->log.search, sizeof(m->log.search), "%s", text);
    }
}

static void search_on(struct monit *m, bool up)
{
    if (!*m->log.search)
        monit_say(m, true, "nothing is searched for: l, then / and a word");
    else if (!monit_log_find(&m->log, up))
        monit_say(m, true, "no %s line of those here holds \"%s\"", up ? "older" : "newer", m->log.search);
}

static void end_input(struct monit *m)
{
    bool search = m->mode == MONIT_SEARCH;

    m->mode = MONIT_KEYS;
    if (search && *m->log.search)
        search_on(m, true);
}

static void typed(struct monit *m, wint_t ch, bool key)
{
    size_t len = strlen(m->input);
    mbstate_t state = {0};
    char bytes[MB_LEN_MAX];
    size_t n;

    if ((key && ch == KEY_ENTER) || (!key && (ch == '\r' || ch == '\n'))) {
        apply_input(m, m->input);
        end_input(m);
    } else if (!key && ch == 27) {
        apply_input(m, m->before);
        m->mode = MONIT_KEYS;
    } else if ((key && ch == KEY_BACKSPACE) || (!key && (ch == 127 || ch == 8))) {
        while (len && (m->input[--len] & 0xc0) == 0x80)
            ;
        m->input[len] = '\0';
        apply_input(m, m->input);
    } else if (!key && ch == 21) { /* Ctrl-U */
        m->input[0] = '\0';
        apply_input(m, "");
    } else if (!key && iswprint(ch) && (n = wcrtomb(bytes, (wchar_t)ch, &state)) != (size_t)-1 &&
               len + n < sizeof(m->input)) {
        memcpy(m->input + len, bytes, n);
        m->input[len + n] = '\0';
        apply_input(m, m->input);
    }
}

static void act(struct monit *m, const char *method, const char *verb)
{
    const struct monit_row *r = monit_model_selected(&m->model);

    if (r)
        monit_client_act(m, method, verb, r->id, r->name);
}

static void answer_stop(struct monit *m, wint_t ch)
{
    const struct monit_row *r = monit_model_selected(&m->model);

    m->mode = MONIT_KEYS;
    /* What was asked about is what is stopped, should the list have changed meanwhile. */
    if ((ch == 'y' || ch == 'Y') && r && r->id == m->asked)
        act(m, "process.stop", "stop");
    else
        monit_say(m, false, "nothing was stopped");
}

static void ask_stop(struct monit *m)
{
    const struct monit_row *r = monit_model_selected(&m->model);

    if (!r)
        return;
    m->asked = r->id;
    m->mode = MONIT_ASK_STOP;
}

static void clear_words(struct monit *m)
{
    m->message[0] = '\0';
    m->log.search[0] = '\0';
    monit_model_set_filter(&m->model, "");
    monit_selection_moved(m);
}

/* Letters that move as the arrows do. */
static bool moves(struct monit *m, wint_t ch)
{
    long by = ch == 'j'   ? 1
              : ch == 'k' ? -1
              : ch == 'g' ? -FAR
              : ch == 'G' ? FAR
              : ch == ' ' ? page_of(m)
                          : 0;

    if (by)
        move_in(m, m->pane, by);
    return by != 0;
}

/* Letters about what is seen, and where. */
static bool views(struct monit *m, wint_t ch)
{
    switch (ch) {
    case 's':
        monit_model_set_sort(&m->model, (m->model.sort + 1) % MONIT_SORTS);
        return true;
    case 'l':
        m->pane = m->pane == MONIT_LOG ? MONIT_LIST : MONIT_LOG;
        return true;
    case 'f':
        m->log.follow = !m->log.follow;
        if (m->log.follow)
            m->log.up = 0;
        return true;
    case 'n':
    case 'N':
        search_on(m, ch == 'n');
        return true;
    case '\t':
        m->pane = (m->pane + 1) % MONIT_PANES;
        return true;
    case 'z':
    case '\r':
    case '\n':
        m->zoom = !m->zoom;
        return true;
    case 'L' & 0x1f:
        monit_screen_redraw();
        return true;
    default:
        return false;
    }
}

/* The others, and control characters. */
static void command(struct monit *m, wint_t ch)
{
    switch (ch) {
    case 'q':
        m->quit = true;
        break;
    case '/':
        if (m->pane == MONIT_LOG)
            prompt(m, MONIT_SEARCH, m->log.search);
        else
            prompt(m, MONIT_FILTER, m->model.filter);
        break;
    case 'r':
        act(m, "process.restart", "restart");
        break;
    case 'R':
        act(m, "process.reload", "reload");
        break;
    case 'S':
        ask_stop(m);
        break;
    case '?':
    case 'h':
        m->mode = MONIT_HELP;
        break;
    case 27:
        clear_words(m);
        break;
    default:
        break;
    }
}

static void special(struct monit *m, wint_t key)
{
    switch (key) {
    case KEY_UP:
        move_in(m, m->pane, -1);
        break;
    case KEY_DOWN:
        move_in(m, m->pane, 1);
        break;
    case KEY_PPAGE:
        move_in(m, m->pane, -page_of(m));
        break;
    case KEY_NPAGE:
        move_in(m, m->pane, page_of(m));
        break;
    case KEY_HOME:
        move_in(m, m->pane, -FAR);
        break;
    case KEY_END:
        move_in(m, m->pane, FAR);
        break;
    case KEY_LEFT:
        m->log.left = m->log.left > 8 ? m->log.left - 8 : 0;
        break;
    case KEY_RIGHT:
        m->log.left += m->log.left < MONIT_LOG_BYTES ? 8 : 0;
        break;
    case KEY_BTAB:
        m->pane = (m->pane + MONIT_PANES - 1) % MONIT_PANES;
        break;
    case KEY_ENTER:
        m->zoom = !m->zoom;
        break;
    default:
        break;
    }
}

static void one(struct monit *m, wint_t ch, bool key)
{
    if (key && ch == KEY_RESIZE)
        return;
    if (m->mode == MONIT_HELP)
        m->mode = MONIT_KEYS;
    else if (m->mode == MONIT_FILTER || m->mode == MONIT_SEARCH)
        typed(m, ch, key);
    else if (m->mode == MONIT_ASK_STOP)
        answer_stop(m, key ? 0 : ch);
    else if (key && ch == KEY_MOUSE)
        mouse(m);
    else if (key)
        special(m, ch);
    else if (!moves(m, ch) && !views(m, ch))
        command(m, ch);
}

void monit_keys(struct monit *m)
{
    wint_t ch;
    int rc;

    while (!m->quit && (rc = get_wch(&ch)) != ERR) {
        one(m, ch, rc == KEY_CODE_YES);
        m->dirty = true;
    }
}
