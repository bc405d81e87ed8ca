#!/usr/bin/env python3
"""Measures pm, PM2 and plain posix_spawn side by side, and prints one table.

Everything runs in private homes. Figures are medians unless said otherwise; the machine should be quiet. bench/run builds
what is needed and calls this.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def until(cond, timeout, what):
    end = now() + timeout
    while True:
        value = cond()
        if value:
            return value
        if now() > end:
            sys.exit("bench: not within %d s: %s" % (timeout, what))
        time.sleep(0.002)


def cpu_ns(pids):
    """CPU time of all threads of these processes, in ns."""
    total = 0
    for pid in pids:
        try:
            for thread in os.listdir("/proc/%d/task" % pid):
                total += int((read("/proc/%d/task/%s/schedstat" % (pid, thread)) or "0").split()[0])
        except FileNotFoundError:
            pass
    return total


def pss_mb(pids):
    total = 0
    for pid in pids:
        for line in read("/proc/%d/smaps_rollup" % pid).splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def share(pids, seconds):
    """Percent of one core used over so many seconds."""
    begin, cpu = now(), cpu_ns(pids)
    time.sleep(seconds)
    return (cpu_ns(pids) - cpu) / (now() - begin) / 1e7


class Stamps:
    """The file that bench/stamp writes to."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "stamps")
        self.clear()

    def clear(self):
        open(self.path, "w").close()

    def all(self):
        return [int(line.split()[0]) / 1e9 for line in read(self.path).splitlines() if len(line.split()) == 2]

    def last_pid(self):
        return int(read(self.path).splitlines()[-1].split()[1])

    def wait(self, count, timeout=120):
        return until(lambda: (lambda s: s if len(s) >= count else None)(self.all()), timeout, "%d processes run" % count)


class Manager:
    """A process manager under test: its command, its private home, its daemon's pids."""

    def __init__(self, name, command, tmp, env):
        self.name = name
        self.command = command
        self.home = os.path.join(tmp, name)
        self.env = dict(os.environ, **env)
        self.stamps = Stamps(tmp)
        self.tmp = tmp

    def run(self, *words, check=True):
        done = subprocess.run([*self.command, *words], env=self.env, cwd=self.tmp, stdin=subprocess.DEVNULL, capture_output=True)
        if check and done.returncode != 0:
            sys.exit("bench: %s %s: %s%s" % (self.name, " ".join(words), done.stdout.decode()[-1000:], done.stderr.decode()[-1000:]))
        return done.stdout

    def timed(self, *words):
        """ms of one command, output to /dev/null. By posix_spawn: subprocess costs more than what is measured."""
        files = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        argv = [*self.command, *words]
        begin = now()
        _, status = os.waitpid(os.posix_spawnp(argv[0], argv, self.env, file_actions=files), 0)
        took = (now() - begin) * 1000
        if status != 0:
            sys.exit("bench: %s %s failed" % (self.name, " ".join(words)))
        return took

    def apps(self, count, program, args=(), **keys):
        path = os.path.join(self.tmp, "%s-apps.json" % self.name)
        with open(path, "w") as f:
            json.dump({"apps": [dict(name="app%04d" % i, script=program, args=list(args), exec_interpreter="none", exec_mode="fork",
                                     **keys) for i in range(count)]}, f)
        return path

    def start(self, count, stamp):
        """Starts so many from one file; ms from the call of the command to the last exec."""
        self.run("list")
        self.stamps.clear()
        path = self.apps(count, stamp, [self.stamps.path], max_restarts=1000000)
        begin = now()
        self.run("start", path)
        return (max(self.stamps.wait(count)) - begin) * 1000

    def respawn(self, stamp, turns):
        """One app is killed; ms until the exec of the next."""
        self.stamps.clear()
        self.run("start", self.apps(1, stamp, [self.stamps.path], max_restarts=1000000))
        return respawn_times(self.stamps, turns)

    def jlist(self, turns):
        return statistics.median(self.timed("jlist") for _ in range(turns))

    def empty(self):
        self.run("delete", "all")

    def end(self):
        self.run("kill", check=False)


class Pm(Manager):
    def daemon_pids(self):
        keeper = int(read(os.path.join(self.home, "pmd.pid")))
        children = read("/proc/%d/task/%d/children" % (keeper, keeper)).split()
        return [keeper] + [int(c) for c in children if "--engine" in read("/proc/%s/cmdline" % c).split("\0")]


class Pm2(Manager):
    def daemon_pids(self):
        return [int(read(os.path.join(self.home, "pm2.pid")))]


def respawn_times(stamps, turns):
    times = []
    for turn in range(turns):
        stamps.wait(turn + 1)
        # Quiet first: the one before has settled.
        time.sleep(0.3)
        begin = now()
        os.kill(stamps.last_pid(), signal.SIGKILL)
        times.append((stamps.wait(turn + 2)[turn + 1] - begin) * 1000)
    return statistics.median(times)


def plain(loop, stamp, tmp, count, turns):
    """The same by a plain loop of posix_spawn: (ms to the last of count, ms from a kill to the next exec)."""
    stamps = Stamps(tmp)
    begin = now()
    process = subprocess.Popen([loop, str(count), stamp, stamps.path])
    start = (max(stamps.wait(count)) - begin) * 1000
    process.terminate()
    process.wait()
    stamps.clear()
    process = subprocess.Popen([loop, "1", stamp, stamps.path])
    again = respawn_times(stamps, turns)
    process.terminate()
    process.wait()
    return start, again


class Table:
    def __init__(self):
        self.rows = [("figure", "pm", "compared with", "ratio", "wanted", "")]
        self.missed = 0

    def add(self, figure, pm, other, ratio, wanted, ok):
        self.missed += ok is False
        self.rows.append((figure, pm, other, ratio, wanted, {True: "ok", False: "MISSED", None: ""}[ok]))
        print("%s: %s %s %s" % (figure, pm, other, ratio), file=sys.stderr)

    def print(self):
        widths = [max(len(r[i]) for r in self.rows) for i in range(6)]
        for n, row in enumerate(self.rows):
            print("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |")
            if n == 0:
                print("|" + "|".join("-" * (w + 2) for w in widths) + "|")


def crash_loops(pm, seconds):
    """200 apps that end at once: (median ms of an answer, percent of a core of the engine)."""
    path = pm.apps(200, "/bin/false")
    engine = pm.daemon_pids()[1]
    begin, cpu, times = now(), cpu_ns([engine]), []
    command = subprocess.Popen([*pm.command, "start", path], env=pm.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while now() - begin < seconds:
        times.append(pm.timed("list"))
        time.sleep(0.1)
    used = (cpu_ns([engine]) - cpu) / (now() - begin) / 1e7
    command.wait()
    return statistics.median(times), used


def engine_kill(pm, turns):
    """Median ms from kill -9 of the engine to the next answer of the CLI."""
    times = []
    for _ in range(turns):
        time.sleep(1.2)
        old = pm.daemon_pids()[1]
        begin = now()
        os.kill(old, signal.SIGKILL)
        while subprocess.run([*pm.command, "ping"], env=pm.env, capture_output=True).returncode != 0:
            if now() - begin > 30:
                sys.exit("bench: no answer after kill -9 of the engine")
        times.append((now() - begin) * 1000)
    return statistics.median(times)


def measure(options, tmp, table):
    stamp, loop = os.path.join(tmp, "stamp"), os.path.join(tmp, "spawn_loop")
    for source, program in (("stamp.c", stamp), ("spawn_loop.c", loop)):
        subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", program, os.path.join(HERE, source)], check=True)
    n = options.apps
    pm = Pm("pm", [os.path.join(options.pm_bin, "pm")], tmp, {"PM_HOME": os.path.join(tmp, "pm")})
    pm2 = Pm2("pm2", [options.pm2], tmp, {"PM2_HOME": os.path.join(tmp, "pm2"), "PM2_DISABLE_VERSION_CHECK": "true",
                                          "PM2_DISCRETE_MODE": "true"}) if options.pm2 else None
    try:
        rounds = [plain(loop, stamp, tmp, n, 20) for _ in range(3)]
        plain_start, plain_again = (statistics.median(r[i] for r in rounds) for i in (0, 1))
        # The daemon is up before the clock starts, with one app that stays out of the way.
        os.makedirs(pm.home, mode=0o700, exist_ok=True)
        pm.run("start", "/bin/sleep", "--name", "first", "--", "100000")
        starts = []
        for _ in range(3):
            pm.empty()
            starts.append(pm.start(n, stamp))
        start = statistics.median(starts)
        pm_jlist = pm.jlist(41)
        time.sleep(3)
        pm_pss, pm_idle = pss_mb(pm.daemon_pids()), share(pm.daemon_pids(), options.seconds)
        kill_ms = engine_kill(pm, 5)
        pm.empty()
        again = pm.respawn(stamp, 20)
        pm.empty()

        what2 = ("-",) * 5
        if pm2:
            pm2.run("ping")
            start2 = pm2.start(n, stamp)
            jlist2 = pm2.jlist(7)
            time.sleep(3)
            pss2, idle2 = pss_mb(pm2.daemon_pids()), share(pm2.daemon_pids(), options.seconds)
            pm2.empty()
            again2 = pm2.respawn(stamp, 10)
            pm2.end()
            what2 = (start2, jlist2, pss2, idle2, again2)

        def pm2_ratio(i, mine, unit):
            return ("pm2 %.4g %s" % (what2[i], unit), "%.1f x" % (what2[i] / mine)) if pm2 else ("-", "-")

        table.add("jlist, %d apps" % n, "%.2f ms" % pm_jlist, *pm2_ratio(1, pm_jlist, "ms"), ">= 60 x",
                  what2[1] / pm_jlist >= 60 if pm2 else None)
        table.add("start of %d, to the last exec" % n, "%.1f ms" % start, "posix_spawn %.1f ms" % plain_start,
                  "%.2f x" % (start / plain_start), "<= 1.5 x", start / plain_start <= 1.5)
        if pm2:
            table.add("", "", *pm2_ratio(0, start, "ms"), "", None)
        table.add("crash to the next exec", "%.2f ms" % again, "kill-wait-spawn %.2f ms" % plain_again, "%.2f x" % (again / plain_again),
                  "<= 2 x", again / plain_again <= 2)
        if pm2:
            table.add("", "", *pm2_ratio(4, again, "ms"), "", None)
        table.add("memory (PSS) of the daemon, %d apps" % n, "%.1f MB" % pm_pss, *pm2_ratio(2, pm_pss, "MB"), "< 10 MB", pm_pss < 10)
        table.add("idle, %d apps, of a core" % n, "%.3f %%" % pm_idle, *pm2_ratio(3, max(pm_idle, 0.001), "%"), "< 0.2 %", pm_idle < 0.2)
        table.add("kill -9 of the engine to an answer", "%.0f ms" % kill_ms, "-", "-", "<= 1000 ms", kill_ms <= 1000)

        answer, used = crash_loops(pm, options.seconds)
        table.add("200 crash loops: an answer", "%.1f ms" % answer, "-", "-", "<= 100 ms", answer <= 100)
        table.add("200 crash loops: engine, of a core", "%.2f %%" % used, "-", "-", "< 10 %", used < 10)
        pm.empty()

        if options.big:
            pm.start(options.big, stamp)
            big_jlist = pm.jlist(21)
            time.sleep(5)
            pss, idle = pss_mb(pm.daemon_pids()), share(pm.daemon_pids(), options.seconds)
            table.add("jlist, %d apps" % options.big, "%.2f ms" % big_jlist, "%d apps %.2f ms" % (n, pm_jlist),
                      "%.2f x" % (big_jlist / pm_jlist), "<= 12 x", big_jlist / pm_jlist <= 12)
            table.add("memory (PSS) of the daemon, %d apps" % options.big, "%.1f MB" % pss, "-", "-", "< 40 MB", pss < 40)
            table.add("idle, %d apps, of a core" % options.big, "%.3f %%" % idle, "-", "-", "< 1 %", idle < 1)
    finally:
        pm.end()
        if pm2:
            pm2.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pm-bin", default=os.path.join(HERE, "../build/release/bin"), help="folder of pm and pmd")
    parser.add_argument("--pm2", default="", help="PM2's program; without it only pm is measured")
    parser.add_argument("--apps", type=int, default=100)
    parser.add_argument("--big", type=int, default=1000, help="the large number of apps; 0 = leave out")
    parser.add_argument("--seconds", type=float, default=30, help="how long idle CPU is watched")
    options = parser.parse_args()
    options.pm_bin = os.path.abspath(options.pm_bin)
    tmp = tempfile.mkdtemp(prefix="pmbench.")
    table = Table()
    try:
        measure(options, tmp, table)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    table.print()
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
