/* Counts the lines that it gets on its standard input (pm send counter "any text") and says when it is ready.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* READY=1 to NOTIFY_SOCKET, as sd_notify does; without that variable nobody waits for it. */
static int say_ready(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, ok;

    if (!path)
        return 0;
    if (strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    ok = sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) == 7;
    close(fd);
    return ok ? 0 : -1;
}

int main(void)
{
    char line[4096];
    unsigned long count = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (say_ready() != 0) {
        perror("counter: cannot say that it is ready");
        return 1;
    }
    puts("counter: ready");
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        printf("counter: %lu: %s\n", ++count, line);
    }
    return 0;
}
