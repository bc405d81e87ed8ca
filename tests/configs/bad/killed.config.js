// expect: node was killed by signal 9
process.kill(process.pid, "SIGKILL");
