#!/usr/bin/env python3
"""Measures the engine's CPU and memory while it samples processes that do nothing, once a second. bench/metrics calls this."""

import argparse
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time


def cpu_seconds(pid):
    """Of all threads, in ns of the scheduler: ticks miss what is short."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def pss_mib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pm-bin", required=True)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--tree", type=int, default=1, help="processes of each tree")
    parser.add_argument("--seconds", type=int, default=40)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="pmbench.")
    env = dict(os.environ, PM_HOME=os.path.join(folder, "home"))
    pm = os.path.join(args.pm_bin, "pm")
    script = "sleep 100000 & " * (args.tree - 1) + "exec sleep 100000"
    config = os.path.join(folder, "apps.json")
    with open(config, "w") as f:
        json.dump({"apps": [dict(name="idle", script="/bin/sh", args=["-c", script], exec_interpreter="none", exec_mode="fork",
                                 instances=args.processes)]}, f)
    try:
        subprocess.run([pm, "start", config], env=env, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(env["PM_HOME"], "pmd.pid")) as f:
            keeper = int(f.read())
        engine = next(p for p in children(keeper) if b"--engine" in open("/proc/%d/cmdline" % p, "rb").read())
        time.sleep(10)
        before, begin = cpu_seconds(engine), time.monotonic()
        time.sleep(args.seconds)
        used, span = cpu_seconds(engine) - before, time.monotonic() - begin
        print("%d trees of %d, %.0f s: engine %.2f %% of a core, PSS %.1f MiB; keeper %.1f MiB" %
              (args.processes, args.tree, span, 100 * used / span, pss_mib(engine), pss_mib(keeper)))
    finally:
        subprocess.run([pm, "kill"], env=env, stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
