/* Does nothing, writes nothing, and ends by the first signal. */
#include <unistd.h>

int main(void)
{
    for (;;)
        pause();
}
