#!/usr/bin/env python3
"""Measures how pm and PM2 take the output of an app that writes without pause, side by side, and prints one table.

The rounds of all are interleaved; figures are medians. A round ends when the last line is in the log file, and for pm in the
database too. Then the lines are counted. bench/logs builds what is needed and calls this.
"""

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from compare import HERE, Pm, Pm2, Table, now, read, until

LINE = 100
DATE = len("2025-01-01T00:00:00: ")
ROWS_OK = ("SELECT count(*), count(DISTINCT text), coalesce(sum(length(text) = 99 AND CAST(text AS TEXT) GLOB '#%s *'"
           " AND length(trim(substr(CAST(text AS TEXT), 13), 'x')) = 0), 0) FROM line" % ("[0-9]" * 10))


class Case:
    """One way to run the writer, and what its rounds gave."""

    def __init__(self, manager, kind, lines, dated, rows, writer):
        self.manager, self.kind, self.lines, self.dated, self.rows, self.writer = manager, kind, lines, dated, rows, writer
        self.rates = []
        self.whole = self.twice = self.torn = self.missing = self.bad_rows = 0

    def config(self, log, times):
        program, args = (self.writer[0], [*self.writer[1:], str(self.lines), times])
        app = dict(name="writer", script=program, args=args, exec_interpreter="none", exec_mode="fork", autorestart=False,
                   merge_logs=True, out_file=log, error_file="/dev/null", time=self.dated)
        if not self.rows and isinstance(self.manager, Pm):
            app["log_rows"] = False
        path = os.path.join(self.manager.tmp, "%s-logs.json" % self.manager.name)
        with open(path, "w") as f:
            json.dump({"apps": [app]}, f)
        return path

    def round(self, flood):
        m = self.manager
        log, times = os.path.join(m.tmp, "%s-out.log" % m.name), os.path.join(m.tmp, "%s-times" % m.name)
        for path in (log, times):
            if os.path.exists(path):
                os.unlink(path)
        m.run("start", self.config(log, times))
        begin, end = self.wait(log, times)
        self.rates.append(self.lines / (end - begin))
        counts = subprocess.run([flood, "check", str(self.lines), log, str(DATE if self.dated else 0)], check=True,
                                capture_output=True).stdout
        whole, twice, torn, missing = map(int, counts.split())
        self.whole += whole
        self.twice += twice
        self.torn += torn
        self.missing += missing
        if self.rows:
            self.check_rows()
        m.run("delete", "all")
        if isinstance(m, Pm):
            m.run("flush")
        os.unlink(log)

    def wait(self, log, times):
        """When the writer began and when all that it wrote was stored, by the monotonic clock."""
        until(lambda: len(read(times).split()) == 2, 600, "the writer is through")
        stored = until(self.rows_stored, 60, "all rows are committed") if self.rows else 0
        size, last = -1, now()
        # What is torn or lost never fills the file: then the end is when it no longer grows.
        while now() - last < (0.3 if self.full(log) else 5):
            at = os.stat(log).st_size
            if at != size:
                size, last = at, now()
            time.sleep(0.01)
        return int(read(times).split()[0]) / 1e9, max(stored, os.stat(log).st_mtime + now() - time.time())

    def full(self, log):
        return os.stat(log).st_size >= self.lines * (LINE + (DATE if self.dated else 0))

    def database(self):
        return sqlite3.connect("file:%s/logs.db?mode=ro" % self.manager.home, uri=True)

    def rows_stored(self):
        """The time, once the cursor that is committed with the rows is at the end."""
        with contextlib.closing(self.database()) as db:
            row = db.execute("SELECT cursor FROM stream WHERE app = 'writer' AND kind = 1 ORDER BY id DESC LIMIT 1").fetchone()
        return now() if row and row[0] >= self.lines * LINE else None

    def check_rows(self):
        with contextlib.closing(self.database()) as db:
            counts = db.execute(ROWS_OK).fetchone()
        self.bad_rows += max(abs(self.lines - c) for c in counts)

    @property
    def rate(self):
        return statistics.median(self.rates)

    def faults(self):
        n = self.lines * len(self.rates)
        return "%d not whole (%.2f %%; %d torn pieces, %d numbers gone), %d twice%s" % (
            n - self.whole, 100 * (n - self.whole) / n, self.torn, self.missing, self.twice, ", %d rows wrong" % self.bad_rows if self.rows else "")

    def exact(self):
        return self.whole == self.lines * len(self.rates) and not (self.missing or self.torn or self.twice or self.bad_rows)


class Memory:
    """The greatest memory of the daemon while it runs, and of the spools, which belong to no process, in MiB."""

    def __init__(self, pids):
        self.pids, self.stop = pids, threading.Event()
        self.least = self.sample()
        self.most = self.least
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def sample(self):
        pss = rss = 0
        spools = {}
        for pid in self.pids:
            for line in read("/proc/%d/smaps_rollup" % pid).splitlines():
                pss += int(line.split()[1]) if line.startswith("Pss:") else 0
                rss += int(line.split()[1]) if line.startswith("Rss:") else 0
            for fd in os.listdir("/proc/%d/fd" % pid):
                try:
                    path = "/proc/%d/fd/%s" % (pid, fd)
                    if os.readlink(path).startswith("/memfd:pm-spool"):
                        st = os.stat(path)
                        spools[st.st_ino] = st.st_blocks / 2
                except FileNotFoundError:
                    pass
        return (pss / 1024, rss / 1024, sum(spools.values()) / 1024)

    def watch(self):
        while not self.stop.wait(0.03):
            self.most = tuple(map(max, self.most, self.sample()))

    def end(self):
        """(growth of PSS, growth of RSS, the spools' most)"""
        self.stop.set()
        self.thread.join()
        return self.most[0] - self.least[0], self.most[1] - self.least[1], self.most[2]


class Follower:
    """`pm logs quiet`: how long after it was printed each line of the quiet app arrives, in ms."""

    def __init__(self, pm):
        self.delays = []
        self.process = subprocess.Popen([*pm.command, "logs", "quiet", "--raw", "--lines", "0"], env=pm.env, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            at = time.time()
            words = line.split()
            if words and words[-1].replace(b".", b"").isdigit():
                self.delays.append((at - float(words[-1])) * 1000)

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        return self.delays


def flood_memory(pm, flood, lines):
    """Growth of memory, delays of another app's lines, and times of `pm list`, all while one app floods."""
    log, times = os.path.join(pm.tmp, "flood.log"), os.path.join(pm.tmp, "flood-times")
    pm.run("start", "/bin/sh", "--name", "quiet", "--", "-c", "while :; do date +%s.%N; sleep 0.1; done")
    follower = Follower(pm)
    until(lambda: len(follower.delays) > 3, 10, "pm logs follows the quiet app")
    memory = Memory(pm.daemon_pids())
    follower.delays.clear()
    case = Case(pm, "flood", lines, True, True, (flood, "write"))
    pm.run("start", case.config(log, times))
    answers = []
    while len(read(times).split()) != 2:
        answers.append(pm.timed("list"))
        time.sleep(0.04)
    until(lambda: case.full(log), 60, "the flood is in the file")
    grown, delays = memory.end(), follower.end()
    pm.empty()
    pm.run("flush")
    os.unlink(log)
    return grown, delays, answers


def p99(values):
    return sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)]


def throughput(options, pm, pm2, flood, table):
    n, write, node = options.lines, (flood, "write"), (shutil.which("node") or "node", os.path.join(HERE, "flood.js"))
    figures = [("100-byte lines, time: true, rows and file", 2.5, Case(pm, "", n, True, True, write), pm2 and Case(pm2, "", n, True, False, write)),
               ("the same without rows and time", 1.0, Case(pm, "", 4 * n, False, False, write), pm2 and Case(pm2, "", 4 * n, False, False, write)),
               ("by node's console.log, time: true", None, Case(pm, "", n, True, True, node), pm2 and Case(pm2, "", n, True, False, node))]
    for _ in range(options.rounds):
        for _, _, mine, other in figures:
            mine.round(flood)
            if other:
                other.round(flood)
    for what, wanted, mine, other in figures:
        ratio = mine.rate / other.rate if other else None
        table.add(what, "%.0f lines/s" % mine.rate, "pm2 %.0f lines/s" % other.rate if other else "-", "%.2f x" % ratio if other else "-",
                  ">= %.1f x" % wanted if wanted else "", ratio >= wanted if other and wanted else None)
        table.add("", mine.faults(), "pm2 " + other.faults() if other else "-", "", "none", mine.exact())
        print("  rounds: %s; pm2 %s" % ([round(r) for r in mine.rates], [round(r) for r in other.rates] if other else "-"), file=sys.stderr)


def measure(options, tmp, table):
    flood = os.path.join(tmp, "flood")
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", flood, os.path.join(HERE, "flood.c")], check=True)
    pm = Pm("pm", [os.path.join(options.pm_bin, "pm")], tmp, {"PM_HOME": os.path.join(tmp, "pm")})
    pm2 = Pm2("pm2", [options.pm2], tmp, {"PM2_HOME": os.path.join(tmp, "pm2"), "PM2_DISABLE_VERSION_CHECK": "true",
                                          "PM2_DISCRETE_MODE": "true"}) if options.pm2 else None
    try:
        # First of all: a daemon that has taken a flood before would have grown already.
        (pss, rss, spools), delays, answers = flood_memory(pm, flood, options.flood * 10)
        table.add("memory's growth in a flood of %d kB" % options.flood, "PSS %.1f, RSS %.1f MiB" % (pss, rss), "-", "-", "< 32 MiB", rss < 32)
        table.add("spools meanwhile", "%.1f MiB" % spools, "-", "-", "", None)
        table.add("another app's line in pm logs", "median %.0f, most %.0f ms" % (statistics.median(delays), max(delays)), "-", "-",
                  "<= 1000 ms", max(delays) <= 1000)
        table.add("pm list, p99 of %d" % len(answers), "%.1f ms" % p99(answers), "-", "-", "<= 100 ms", p99(answers) <= 100)
        if pm2:
            pm2.run("ping")
        throughput(options, pm, pm2, flood, table)
    finally:
        pm.end()
        if pm2:
            pm2.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pm-bin", default=os.path.join(HERE, "../build/release/bin"), help="folder of pm and pmd")
    parser.add_argument("--pm2", default="", help="PM2's program; without it only pm is measured")
    parser.add_argument("--lines", type=int, default=1000000, help="lines a round; four times as many without rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flood", type=int, default=1000000, help="size of the flood that memory is watched in, in kB")
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
