#!/usr/bin/env python3
"""Measures what node_probe costs: requests a second, and CPU for each, of the same HTTP server with it and without; and both at rest.

Both run at the same time and are loaded in turn, in another order each round, so that what else the machine does falls on both.
The ratio is the median of the rounds' ratios. bench/probe builds what is needed and calls this.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from compare import HERE, cpu_ns, now, until

SERVER = "require('http').createServer((q, r) => r.end('fine')).listen(+process.env.PORT, '127.0.0.1');\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def rss_mb(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pm-bin", default=os.path.join(HERE, "../build/release/bin"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1, help="how long one is loaded in a round")
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--rest", type=float, default=10, help="seconds without load")
    options = parser.parse_args()
    tmp = tempfile.mkdtemp(prefix="pm-bench.")
    pm = [os.path.abspath(os.path.join(options.pm_bin, "pm"))]
    env = dict(os.environ, PM_HOME=os.path.join(tmp, "home"))
    load = os.path.join(tmp, "load")
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", load, os.path.join(HERE, "../tests/children/load.c")], check=True)
    with open(os.path.join(tmp, "server.js"), "w") as f:
        f.write(SERVER)
    ports = {name: free_port() for name in ("without", "with")}
    with open(os.path.join(tmp, "apps.json"), "w") as f:
        json.dump({"apps": [{"name": name, "script": "server.js", "node_probe": name == "with", "env": {"PORT": str(port)}} for name, port in ports.items()]}, f)
    try:
        subprocess.run([*pm, "start", "apps.json"], cwd=tmp, env=env, check=True, stdout=subprocess.DEVNULL)
        pids = {name: int(subprocess.run([*pm, "pid", name], env=env, check=True, capture_output=True).stdout) for name in ports}
        for port in ports.values():
            until(lambda p=port: listens(p), 30, "port %d" % port)
        rates, costs = ({name: [] for name in ports} for _ in range(2))
        for turn in range(options.rounds + 1):
            for name in sorted(ports, reverse=bool(turn % 2)):
                used = cpu_ns([pids[name]])
                out = subprocess.run([load, "-a", "-c", str(options.connections), "-d", str(options.seconds), "-k", str(ports[name])],
                                     check=True, stdout=subprocess.PIPE).stdout
                if turn:  # the first is for the compiler of Node
                    counted = json.loads(out)
                    rates[name].append(counted["per_second"])
                    costs[name].append((cpu_ns([pids[name]]) - used) / 1e3 / counted["ok"])
        time.sleep(2)
        begin, used = now(), {name: cpu_ns([pid]) for name, pid in pids.items()}
        time.sleep(options.rest)
        rest = {name: (cpu_ns([pid]) - used[name]) / 1e9 / (now() - begin) for name, pid in pids.items()}
        memory = {name: rss_mb(pid) for name, pid in pids.items()}
        for name in ports:
            print("%-8s %8.0f requests a second, %.2f us of CPU each, %.3f %% of a core at rest, %.1f MB RSS"
                  % (name, statistics.median(rates[name]), statistics.median(costs[name]), 100 * rest[name], memory[name]))
        for what, values in (("requests a second", rates), ("CPU for each", costs)):
            ratios = sorted(a / b for a, b in zip(values["with"], values["without"]))
            quarter = len(ratios) // 4
            print("%s, with : without = %.3f (median of %d rounds; half of them %.3f to %.3f)"
                  % (what, statistics.median(ratios), len(ratios), ratios[quarter], ratios[-1 - quarter]))
    finally:
        subprocess.run([*pm, "kill"], env=env, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
