/* In place of pmd: when the keeper executes this to be upgraded, it lets a program die (file PM_WRAP_GO; its
 * pid is in the file PM_WRAP_PID), waits until it is a zombie, and only then becomes pmd (PM_WRAP_NEXT). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *next = getenv("PM_WRAP_NEXT"), *go = getenv("PM_WRAP_GO"), *pid_path = getenv("PM_WRAP_PID");

    if (!next || !go || !pid_path)
        return 90;
    if (argc > 1 && strcmp(argv[1], "--resume-fd") == 0) {
        FILE *f = fopen(pid_path, "r");
        int pid = 0;
        siginfo_t si;

        if (!f || fscanf(f, "%d", &pid) != 1)
            return 91;
        fclose(f);
        f = fopen(go, "w");
        if (!f)
            return 92;
        fclose(f);
        if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) < 0)
            return 93;
    }
    execv(next, argv);
    return 94;
}
