/* The terminal as a whole: taken, drawn on, given back. */
#ifndef PM_CLI_MONIT_SCREEN_H
#define PM_CLI_MONIT_SCREEN_H

struct err;
struct monit;

/* Takes the terminal, with a guard beside it. 0 or -errno with words; then nothing was changed. */
int monit_screen_open(struct monit *m, struct err *e);
void monit_screen_close(void);

void monit_screen_suspend(void); /* for Ctrl-Z: gives it back, stops this process, takes it again */
void monit_screen_resize(void);  /* after SIGWINCH */
void monit_screen_redraw(void);  /* all of it, whatever the terminal is thought to show */

void monit_screen_begin(int *height, int *width); /* an empty picture */
void monit_screen_end(void);                      /* sends what differs from the last one */

#endif
