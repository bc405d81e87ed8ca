/* What the parts of pm monit share. One thread, one loop: cmd_monit.c. */
#ifndef PM_CLI_MONIT_H
#define PM_CLI_MONIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/monit_client.h"
#include "cli/monit_layout.h"
#include "cli/monit_log.h"
#include "cli/monit_model.h"

/* What keys mean at the moment. */
enum monit_mode { MONIT_KEYS, MONIT_FILTER, MONIT_SEARCH, MONIT_ASK_STOP, MONIT_HELP };

#define MONIT_MESSAGE_MAX 400

struct monit {
    struct cli *c;
    struct monit_client client;
    struct monit_model model;
    struct monit_log log;
    struct monit_layout layout; /* as last drawn */
    json_t *detail;             /* the record of the selected process, from `describe`; NULL: not there yet */
    size_t detail_top;          /* lines scrolled off */
    long long shown;            /* id of the process that log and details are of; -1: none */
    enum monit_pane pane;
    enum monit_mode mode;
    bool zoom;                       /* the pane has the whole screen */
    char input[MONIT_SEARCH_MAX];    /* what is being typed */
    char before[MONIT_FILTER_MAX];   /* the filter, for Esc */
    long long asked;                 /* id of the process that is to be stopped */
    char message[MONIT_MESSAGE_MAX]; /* at the bottom; "": none */
    bool message_bad;
    uint64_t message_end; /* monotonic ms */
    int rows, columns;    /* of the terminal */
    bool utf8, color;
    bool dirty; /* the screen has to be drawn */
    bool quit;
};

/* Says something at the bottom for some seconds. */
void monit_say(struct monit *m, bool bad, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* After the selection has moved. */
void monit_selection_moved(struct monit *m);

/* All that is waiting at the keyboard. */
void monit_keys(struct monit *m);

void monit_draw(struct monit *m);
void monit_draw_details(struct monit *m, const struct monit_rect *r);
void monit_draw_charts(struct monit *m, const struct monit_rect *r);
void monit_draw_help(struct monit *m);

#endif
