#include "keeper/kept.h"

#include <errno.h>
#include <string.h>

#include "common/plog.h"

void kept_take(struct keeper *k, struct kw_msg *m)
{
    static const enum kw_fd kinds[] = {KW_FD_SOCKET, KW_FD_META};
    struct record *r;

    if (!is_socket_token(m->token) || m->token > TOKEN_LAST) {
        log_warn("a socket with the token %llu of a run, ignored", (unsigned long long)m->token);
        return;
    }
    r = table_find(&k->table, m->token);
    if (!r)
        r = table_add(&k->table, m->token);
    if (!r) {
        log_error("cannot keep one more listening socket: %s", strerror(errno));
        return;
    }
    r->acked = true; /* it goes with its last descriptor */
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int fd = kw_take_fd(m, kinds[i]);

        if (fd >= 0)
            record_hold(r, kinds[i], fd);
    }
    if (!record_holds_any(r))
        table_remove(&k->table, r);
}

int kept_find(struct keeper *k, const struct spawn_spec *s, int fds[SPAWN_SOCKETS_MAX])
{
    for (uint32_t i = 0; i < s->nsockets; i++) {
        struct record *r = is_socket_token(s->sockets[i]) ? table_find(&k->table, s->sockets[i]) : NULL;

        fds[i] = r ? r->fds[KW_FD_SOCKET] : -1;
        if (fds[i] < 0)
            return -ENOENT;
    }
    return 0;
}
