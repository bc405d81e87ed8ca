/*
 * {fd} and {listen.NAME} in arguments and in values of variables of an app that has `listen`: the number of
 * the descriptor that a child has the socket as. Nothing else in braces is looked at. "{{fd}" and
 * "{{listen.x}" stand for the words themselves, and after a dollar sign (${fd}) they are the shell's.
 */
#ifndef PM_CONFIG_LISTEN_TEMPLATE_H
#define PM_CONFIG_LISTEN_TEMPLATE_H

struct app_spec;
struct err;
struct listen_list;

/* The text with the numbers in it, for free(). A list without entries leaves all as it is. NULL and a message
 * when a name is not in the list, or when {fd} could be one of several sockets. */
char *listen_expand(const struct listen_list *l, const char *text, struct err *e);

/* Checks a text, or all arguments and variables of an app. 0, or -EINVAL and a message. */
int listen_check_text(const struct listen_list *l, const char *text, struct err *e);
int listen_check_app(const struct app_spec *s, struct err *e);

#endif
