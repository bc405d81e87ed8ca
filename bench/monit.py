#!/usr/bin/env python3
"""CPU time of pm monit with many processes, in a terminal of its own, and of the daemon while it is asked."""

import argparse
import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def engine_pid(home):
    with open(os.path.join(home, "pmd.pid")) as f:
        keeper = int(f.read())
    with open("/proc/%d/task/%d/children" % (keeper, keeper)) as f:
        for pid in map(int, f.read().split()):
            with open("/proc/%d/cmdline" % pid, "rb") as line:
                if b"--engine" in line.read():
                    return pid
    raise SystemExit("no engine below the keeper %d" % keeper)


def drain(fd, seconds):
    """Reads what comes for so long; returns its bytes."""
    end, size = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            size += len(os.read(fd, 65536))
    return size


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--pm-bin", required=True)
    ap.add_argument("--processes", type=int, default=200)
    ap.add_argument("--seconds", type=float, default=20)
    ap.add_argument("--size", default="160x50")
    args = ap.parse_args()
    home = tempfile.mkdtemp(prefix="pm-bench.")
    env = dict(os.environ, PM_HOME=home, TERM="xterm-256color", LANG="C.UTF-8")
    pm = os.path.join(args.pm_bin, "pm")
    columns, rows = map(int, args.size.split("x"))
    apps = {"apps": [{"name": "talker", "script": "/bin/sh", "interpreter": "none",
                      "args": ["-c", "while :; do echo a line of the log; sleep 0.1; done"]},
                     {"name": "sleeper", "script": "/bin/sleep", "interpreter": "none", "args": ["100000"],
                      "instances": args.processes - 1}]}
    with open(os.path.join(home, "apps.json"), "w") as f:
        json.dump(apps, f)
    try:
        subprocess.run([pm, "start", os.path.join(home, "apps.json")], env=env, check=True, stdout=subprocess.DEVNULL)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        engine = engine_pid(home)
        base = cpu_seconds(engine)
        time.sleep(args.seconds)
        base = cpu_seconds(engine) - base
        monit = subprocess.Popen([pm, "monit"], env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        drain(ours, 3)
        os.write(ours, b"G")  # the talker, which sorts last
        drain(ours, 2)
        before, engine_before = cpu_seconds(monit.pid), cpu_seconds(engine)
        size = drain(ours, args.seconds)
        used, asked = cpu_seconds(monit.pid) - before, cpu_seconds(engine) - engine_before
        with open("/proc/%d/status" % monit.pid) as f:
            rss = next(line.split()[1] for line in f if line.startswith("VmRSS"))
        os.write(ours, b"q")
        drain(ours, 1)
        monit.wait(10)
        print("%d processes, terminal of %s, %g s" % (args.processes, args.size, args.seconds))
        print("pm monit: %.2f %% of a core, %s KiB, %.0f bytes a second to the terminal" % (used / args.seconds * 100, rss, size / args.seconds))
        print("engine: %.2f %% of a core, %.2f %% without pm monit" % (asked / args.seconds * 100, base / args.seconds * 100))
    finally:
        subprocess.run([pm, "kill"], env=env, stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
