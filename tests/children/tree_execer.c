/* Executes itself again and again, with the same environment. Prints its pid the first time. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char *again[] = {argv[0], (char *)"again", NULL};

    if (argc < 2) {
        printf("%d\n", (int)getpid());
        fflush(stdout);
    }
    execv(argv[0], again);
    return 1;
}
