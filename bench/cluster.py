#!/usr/bin/env python3
"""Measures one HTTP server as a cluster under pm (both schedules), under Node itself and under PM2, and prints one table.

All run at the same time, and are loaded in turn: a round takes each once, in another order each time. Ratios are medians of
the rounds' ratios, so that what else the machine does falls on both sides. Every process has a session of its own, as pm
gives it to each app: the kernel shares out the processors by session (autogroup), and that would be measured else.
bench/cluster builds what is needed and calls this.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from compare import HERE, Pm, Pm2, Table, cpu_ns, now, pss_mb, until

MODES = (("a connection per request", []), ("keep-alive", ["-k"]))
SERVER = os.path.join(HERE, "cluster_server.js")
# Of the engine, in shared, more than at rest: a scheduler's tick is seen as this much now and then.
NO_CPU_MS = 1.0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """One way to run the server: its port, the pids of its primary, and what the rounds gave."""

    def __init__(self, name, load):
        self.name, self.load = name, load
        self.port = free_port()
        self.primary = []
        self.rates = {mode: [] for mode, _ in MODES}
        self.cpu = {mode: [] for mode, _ in MODES}  # ms of the primary for 10,000 requests, more than at rest
        self.rest = 0.0  # share of a core at rest
        self.failed = 0

    def until_up(self):
        def answers():
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False
        until(answers, 30, "%s listens" % self.name)

    def round(self, mode, flags, options, keep):
        cpu, begin = cpu_ns(self.primary), now()
        out = subprocess.run(["setsid", "--wait", self.load, "-a", "-c", str(options.connections), "-d", str(options.seconds), *flags, str(self.port)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        used = (cpu_ns(self.primary) - cpu) / 1e6 - self.rest * (now() - begin) * 1000
        counted = json.loads(out.stdout)
        self.failed += counted["failed"]
        if keep:
            self.rates[mode].append(counted["per_second"])
            self.cpu[mode].append(used / counted["ok"] * 10000)

    def rate(self, mode):
        return statistics.median(self.rates[mode])

    def cpu_ms(self, mode):
        return statistics.median(self.cpu[mode])

    def ratio(self, other, mode):
        return statistics.median(a / b for a, b in zip(self.rates[mode], other.rates[mode]))


def start(manager, cluster, workers, **keys):
    """The server as a cluster app of pm or PM2."""
    path = os.path.join(manager.tmp, "%s-%s.json" % (manager.name, cluster.port))
    with open(path, "w") as f:
        json.dump({"apps": [dict(name="on-%d" % cluster.port, script=SERVER, exec_mode="cluster", instances=workers,
                                 env={"PORT": str(cluster.port)}, **keys)]}, f)
    manager.run("start", path)
    cluster.until_up()


def start_node(cluster, workers, tmp):
    """From a copy of the program: else other Node programs of the machine would bear a part of its memory."""
    program = shutil.copy(os.path.realpath(shutil.which("node")), os.path.join(tmp, "node"))
    process = subprocess.Popen([program, os.path.join(HERE, "cluster_node.js"), str(workers)],
                               env=dict(os.environ, PORT=str(cluster.port)), stdin=subprocess.DEVNULL, start_new_session=True)
    cluster.primary = [process.pid]
    cluster.until_up()
    return process


def run_rounds(clusters, options):
    for turn in range(-1, options.rounds):  # the first one warms up the programs
        order = clusters[turn % len(clusters):] + clusters[:turn % len(clusters)]
        for mode, flags in MODES:
            for cluster in order:
                cluster.round(mode, flags, options, turn >= 0)
            if turn >= 0:
                print("round %d, %s: %s" % (turn + 1, mode, ", ".join("%s %.0f" % (c.name, c.rates[mode][-1]) for c in clusters)),
                      file=sys.stderr)


def watch_rest(clusters, seconds):
    """What each primary uses while nobody asks anything."""
    time.sleep(1)
    before, begin = [cpu_ns(c.primary) for c in clusters], now()
    time.sleep(seconds)
    for c, cpu in zip(clusters, before):
        c.rest = (cpu_ns(c.primary) - cpu) / 1e9 / (now() - begin)


def add_rates(table, mine, node, wanted):
    for mode, _ in MODES:
        ratio, least = mine.ratio(node, mode), wanted[mode]
        table.add("%s, %s" % (mine.name, mode), "%.0f req/s" % mine.rate(mode), "%s %.0f req/s" % (node.name, node.rate(mode)),
                  "%.2f x" % ratio, ">= %.2f x" % least if least else "", ratio >= least if least else None)


def measure(options, tmp, table):
    load = os.path.join(tmp, "load")
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", load, os.path.join(HERE, "../tests/children/load.c")], check=True)
    pm = Pm("pm", [os.path.join(options.pm_bin, "pm")], tmp, {"PM_HOME": os.path.join(tmp, "pm")})
    pm2 = Pm2("pm2", [options.pm2], tmp, {"PM2_HOME": os.path.join(tmp, "pm2"), "PM2_DISABLE_VERSION_CHECK": "true",
                                          "PM2_DISCRETE_MODE": "true"}) if options.pm2 else None
    shared, robin, node = (Cluster(name, load) for name in ("pm shared", "pm round_robin", "node"))
    clusters, node_process = [shared, robin, node], None
    try:
        os.makedirs(pm.home, mode=0o700)
        pm.run("start", "/bin/sleep", "--name", "first", "--", "100000")
        time.sleep(2)
        empty = pss_mb(pm.daemon_pids())
        start(pm, shared, options.workers)
        start(pm, robin, options.workers, cluster_schedule="round_robin")
        shared.primary = robin.primary = [pm.daemon_pids()[1]]
        node_process = start_node(node, options.workers, tmp)
        if pm2:
            clusters.append(Cluster("pm2", load))
            pm2.run("ping")
            start(pm2, clusters[-1], options.workers)
            clusters[-1].primary = pm2.daemon_pids()
        watch_rest(clusters, 5)
        run_rounds(clusters, options)
        add_rates(table, shared, node, {"a connection per request": 1.35, "keep-alive": 0.95})
        add_rates(table, robin, node, {"a connection per request": 1.0, "keep-alive": 0.95})
        if pm2:
            add_rates(table, clusters[3], node, dict.fromkeys(dict(MODES)))
        for mode, _ in MODES:
            cpu = shared.cpu_ms(mode)
            table.add("CPU of the engine for 10,000, shared, %s" % mode, "%.2f ms" % cpu, "node %.0f ms" % node.cpu_ms(mode), "-",
                      "none (< %.0f ms)" % NO_CPU_MS, cpu < NO_CPU_MS)
        mode = MODES[0][0]
        table.add("the same, round_robin, %s" % mode, "%.0f ms" % robin.cpu_ms(mode), "node %.0f ms" % node.cpu_ms(mode),
                  "%.2f x" % (robin.cpu_ms(mode) / node.cpu_ms(mode)), "", None)
        # One daemon is the primary of both apps, and of whatever else there is.
        mine, theirs = pss_mb(pm.daemon_pids()), pss_mb(node.primary)
        table.add("memory (PSS) of the primary", "%.1f MB" % mine, "node %.1f MB" % theirs, "%.3f x" % (mine / theirs), "<= 0.1 x", mine <= theirs / 10)
        table.add("its growth by the clusters", "%.1f MB" % (mine - empty), "node %.1f MB" % theirs, "%.3f x" % ((mine - empty) / theirs), "<= 0.1 x",
                  mine - empty <= theirs / 10)
        failed = sum(c.failed for c in (shared, robin))
        table.add("failed requests, pm", "%d" % failed, "node %d" % node.failed, "-", "0", failed == 0)
    finally:
        if node_process:
            node_process.terminate()
            node_process.wait()
        pm.end()
        if pm2:
            pm2.end()
    return {c.name: {"rates": c.rates, "primary_ms_per_10000": c.cpu, "failed": c.failed} for c in clusters}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pm-bin", default=os.path.join(HERE, "../build/release/bin"), help="folder of pm and pmd")
    parser.add_argument("--pm2", default="", help="PM2's program; without it only pm and Node are measured")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1, help="how long one is loaded in a round")
    parser.add_argument("--connections", type=int, default=32, help="how many at a time")
    parser.add_argument("--json", help="file for the table and every round's figures")
    options = parser.parse_args()
    options.pm_bin = os.path.abspath(options.pm_bin)
    tmp = tempfile.mkdtemp(prefix="pmbench.")
    table = Table()
    try:
        rounds = measure(options, tmp, table)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    table.print()
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"table": [dict(zip(("figure", "pm", "compared", "ratio", "wanted", "holds"), row)) for row in table.rows[1:]],
                       "rounds": rounds}, f, indent=1)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
