/*
 * Preloaded into programs that know of no inherited sockets. The daemon gives them listening sockets as
 * descriptors 3, 4..., and says in PM_ADOPT which addresses these are ("3=0.0.0.0:3000;4=[::1]:8000"). When
 * the program binds one of these addresses, it gets that socket in the place of its own. So the socket is
 * there before the program and outlives it: while it starts anew, connections wait instead of being refused.
 *
 * Whatever is not as expected goes the way of the program without this library. A socket is recognised by its
 * cookie, which the kernel gives to each socket once, not by its descriptor's number: so dup, close, fork and
 * descriptors that are passed on need no book-keeping, and no other call need be intercepted for it.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/addresses.h"

#define EXPORT       __attribute__((visibility("default")))
#define MAX_ADOPTED  64
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct entry {
    int fd; /* where the daemon put it; another thing may be there by now */
    struct place place;
    uint64_t cookie;
    atomic_bool adopted; /* at some time: a descriptor of the program may refer to it */
};

static struct entry entries[MAX_ADOPTED];
static size_t nentries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct {
    int (*bind)(int, const struct sockaddr *, socklen_t);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*listen)(int, int);
    int (*shutdown)(int, int);
    int (*setsockopt)(int, int, int, const void *, socklen_t);
} real;

/* -1 when it cannot be told. */
static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, level, name, &value, &len) == 0 && len == sizeof(value) ? value : -1;
}

/* 0 when it is no socket. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static bool is_tcp(int fd)
{
    return option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
           option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
}

static bool address_of(int fd, struct place *out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 || !place_of((struct sockaddr *)&sa, len, out))
        return false;
    out->v6only = out->family == AF_INET6 && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0;
    return true;
}

/* The program may have been started by another one, with other things at these numbers. */
static void add_entry(int fd, struct place *said)
{
    struct entry *e = &entries[nentries];
    struct place is;

    if (!is_tcp(fd) || option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1 || !address_of(fd, &is))
        return;
    said->v6only = is.v6only;
    if (is.family != said->family || place_match(&is, said) != MATCH_EXACT)
        return;
    e->fd = fd;
    e->place = is;
    e->cookie = cookie_of(fd);
    nentries += e->cookie != 0;
}

static void read_environment(void)
{
    const char *at = getenv("PM_ADOPT");

    while (at && *at && nentries < MAX_ADOPTED) {
        const char *end = strchrnul(at, ';');
        struct place said;
        char *equals;
        long fd = strtol(at, &equals, 10);

        if (equals != at && *equals == '=' && fd >= 0 && fd <= INT_MAX && place_parse(equals + 1, end, &said))
            add_entry((int)fd, &said);
        at = *end ? end + 1 : end;
    }
}

static void lock_all(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_all(void)
{
    pthread_mutex_unlock(&lock);
}

static void init(void)
{
    int error = errno;

    /* The next of that name, which may be another preloaded library's. */
    *(void **)&real.bind = dlsym(RTLD_NEXT, "bind");
    *(void **)&real.connect = dlsym(RTLD_NEXT, "connect");
    *(void **)&real.listen = dlsym(RTLD_NEXT, "listen");
    *(void **)&real.shutdown = dlsym(RTLD_NEXT, "shutdown");
    *(void **)&real.setsockopt = dlsym(RTLD_NEXT, "setsockopt");
    read_environment();
    /* A child that is forked while another thread adopts must find the lock free. */
    if (nentries)
        pthread_atfork(lock_all, unlock_all, unlock_all);
    errno = error;
}

__attribute__((constructor)) static void at_load(void)
{
    pthread_once(&once, init);
}

/* The socket that `fd` refers to, when it is one that the program has adopted. */
static struct entry *adopted(int fd)
{
    int error = errno;
    uint64_t cookie = 0;
    struct entry *found = NULL;

    pthread_once(&once, init); /* a library that is loaded earlier may call before the constructor */
    for (size_t i = 0; i < nentries && !found; i++) {
        if (!atomic_load(&entries[i].adopted))
            continue;
        if (!cookie)
            cookie = cookie_of(fd);
        if (cookie == entries[i].cookie)
            found = &entries[i];
    }
    errno = error;
    return found;
}

/* Has the program a descriptor for it, besides the one that it was given? */
static bool in_use(const struct entry *e)
{
    char buf[1024] __attribute__((aligned(8)));
    int dir;
    bool found = false;
    ssize_t n;

    if (!atomic_load(&e->adopted))
        return false;
    dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return false; /* no /proc: the socket can serve two as well */
    while (!found && (n = getdents64(dir, buf, sizeof(buf))) > 0) {
        for (ssize_t at = 0; at < n && !found;) {
            const struct dirent64 *d = (const void *)(buf + at);
            int fd = d->d_name[0] == '.' ? -1 : atoi(d->d_name);

            found = fd >= 0 && fd != e->fd && fd != dir && cookie_of(fd) == e->cookie;
            at += d->d_reclen;
        }
    }
    close(dir);
    return found;
}

/* Options that connections inherit from the socket on which they came: those of the program are kept. */
static void copy_options(int from, int to)
{
    static const struct {
        int level, name;
    } inherited[] = {
        {SOL_SOCKET, SO_KEEPALIVE},      {SOL_SOCKET, SO_LINGER},    {SOL_SOCKET, SO_RCVTIMEO},
        {SOL_SOCKET, SO_SNDTIMEO},       {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPIDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL},    {IPPROTO_TCP, TCP_KEEPCNT}, {IPPROTO_TCP, TCP_USER_TIMEOUT},
        {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    };

    for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
        char wish[32], now[32];
        socklen_t n = sizeof(wish), m = sizeof(now);

        if (getsockopt(from, inherited[i].level, inherited[i].name, wish, &n) == 0 &&
            getsockopt(to, inherited[i].level, inherited[i].name, now, &m) == 0 &&
            (n != m || memcmp(wish, now, n) != 0))
            real.setsockopt(to, inherited[i].level, inherited[i].name, wish, n);
    }
}

/* Puts the daemon's socket in the place of the program's. False: nothing has been changed. */
static bool take(struct entry *e, int fd)
{
    int fd_flags = fcntl(fd, F_GETFD), flags = fcntl(fd, F_GETFL), now;

    if (fd_flags < 0 || flags < 0 || fd == e->fd || cookie_of(e->fd) != e->cookie ||
        option(e->fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
        return false;
    copy_options(fd, e->fd);
    if (dup3(e->fd, fd, fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
        return false;
    now = fcntl(fd, F_GETFL);
    if (now >= 0 && (now ^ flags) & O_NONBLOCK)
        fcntl(fd, F_SETFL, now ^ O_NONBLOCK);
    atomic_store(&e->adopted, true);
    return true;
}

/* Of several the one with just that address, then one that has it among others. */
static struct entry *find(const struct place *wanted)
{
    struct entry *loose = NULL;

    for (size_t i = 0; i < nentries; i++) {
        enum match m = place_match(&entries[i].place, wanted);

        if (m == MATCH_EXACT)
            return &entries[i];
        if (m == MATCH_LOOSE && !loose)
            loose = &entries[i];
    }
    return loose;
}

/* Is it a TCP socket as the address needs it, and not bound yet? Else the kernel has the word. */
static bool may_bind(int fd, const struct place *wanted)
{
    struct place now;

    return is_tcp(fd) && option(fd, SOL_SOCKET, SO_DOMAIN) == wanted->family &&
           option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0 && address_of(fd, &now) && now.port == 0;
}

/* 1: adopted; 0: the real bind is to be called; -1: errno says what the kernel would say. */
static int adopt(int fd, struct place *wanted)
{
    struct entry *e;
    int result, cancel;

    wanted->v6only = wanted->family == AF_INET6 && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0;
    e = find(wanted);
    if (!e || !may_bind(fd, wanted))
        return 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* bind is no cancellation point */
    lock_all();
    /* With SO_REUSEPORT one program may bind an address several times. */
    if (option(fd, SOL_SOCKET, SO_REUSEPORT) != 1 && in_use(e))
        result = -1;
    else
        result = take(e, fd);
    unlock_all();
    pthread_setcancelstate(cancel, NULL);
    if (result < 0)
        errno = EADDRINUSE;
    return result;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t len)
{
    struct place wanted;
    int error = errno, result;

    pthread_once(&once, init);
    if (nentries && place_of(address, len, &wanted) && wanted.port != 0) {
        result = adopt(fd, &wanted);
        if (result < 0)
            return -1;
        errno = error;
        if (result > 0)
            return 0;
    }
    return real.bind(fd, address, len);
}

/* It listens already. More may wait in its queue than the daemon thought, never fewer. */
EXPORT int listen(int fd, int backlog)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    int error = errno;

    if (!adopted(fd))
        return real.listen(fd, backlog);
    /* Of a listening socket this field is the length of its queue. */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && backlog > 0 &&
        (unsigned)backlog > info.tcpi_sacked)
        real.listen(fd, backlog);
    errno = error;
    return 0;
}

/* It would end the socket for all, and reset the connections that wait in it. */
EXPORT int shutdown(int fd, int how)
{
    return adopted(fd) ? 0 : real.shutdown(fd, how);
}

/* The daemon's choice of these stays. */
EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT) && adopted(fd))
        return 0;
    pthread_once(&once, init);
    return real.setsockopt(fd, level, name, value, len);
}

/*
 * A program that binds its source port to the one on which it is to listen, and then connects: it gets a
 * socket of its own again, bound as it wished; the kernel decides whether that can be. Its other options are
 * those of a new socket.
 */
static int give_back(const struct entry *e, int fd)
{
    struct sockaddr_storage sa;
    socklen_t sa_len = sizeof(sa);
    int fd_flags = fcntl(fd, F_GETFD), flags = fcntl(fd, F_GETFL), on = 1, fresh;

    if (fd_flags < 0 || flags < 0 || getsockname(fd, (struct sockaddr *)&sa, &sa_len) < 0)
        return -1;
    fresh = socket(e->place.family, SOCK_STREAM | SOCK_CLOEXEC | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0),
                   IPPROTO_TCP);
    if (fresh < 0)
        return -1;
    real.setsockopt(fresh, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    real.setsockopt(fresh, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (real.bind(fresh, (struct sockaddr *)&sa, sa_len) < 0 ||
        dup3(fresh, fd, fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0) {
        int error = errno;

        close(fresh);
        errno = error;
        return -1;
    }
    close(fresh);
    return 0;
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const struct entry *e = adopted(fd);

    if (e && give_back(e, fd) < 0)
        return -1;
    return real.connect(fd, address, len);
}
