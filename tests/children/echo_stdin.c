/* Answers every line on stdin with "got: <line>". Says "end of input" when stdin ends, which it never should.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char line[4096];

    puts("listening");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        printf("got: %s", line);
        fflush(stdout);
    }
    puts("end of input");
    fflush(stdout);
    for (;;)
        pause();
}
