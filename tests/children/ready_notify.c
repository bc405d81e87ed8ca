/*
 * ready_notify MS: sends READY=1 to NOTIFY_SOCKET after so many milliseconds, then stays; a negative MS never
 * sends it. Exits with 3 when there is no NOTIFY_SOCKET.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int ms = argc > 1 ? atoi(argv[1]) : 0;
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    socklen_t len;
    int fd;

    if (!path || strlen(path) >= sizeof(addr.sun_path))
        return 3;
    memcpy(addr.sun_path, path, strlen(path));
    if (path[0] == '@')
        addr.sun_path[0] = '\0';
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (ms >= 0) {
        usleep((useconds_t)ms * 1000);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, "READY=1\n", 8, 0, (struct sockaddr *)&addr, len) != 8) {
            perror("notify");
            return 4;
        }
        close(fd);
        puts("announced");
        fflush(stdout);
    }
    for (;;)
        pause();
}
