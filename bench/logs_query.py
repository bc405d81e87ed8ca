#!/usr/bin/env python3
"""How fast questions to 5 million stored lines of 20 apps are answered, from the request to the last byte.

Usage: bench/logs_query.py [--bin build/release/bin] [--rows 5000000] [--times 5]

The daemon makes logs.db with its own schema; the rows are then put in while it is down: one app has a fifth of them, evenly
among those of the others, 100 bytes each. Prints medians in ms.
"""
import argparse
import os
import sqlite3
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
ARGS = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ARGS.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
ARGS.add_argument("--rows", type=int, default=5000000)
ARGS.add_argument("--times", type=int, default=5)
ARGS = ARGS.parse_args()
os.environ["PM_BIN"] = os.path.abspath(ARGS.bin)
sys.argv = sys.argv[:1]

import harness  # noqa: E402

APPS = 20
SPAN = 4096           # row ids of a batch, as the daemon makes them
PERIOD_US = 86400 * 1000000


def fill(path, ids, rows):
    db = sqlite3.connect(path)
    db.executescript("PRAGMA synchronous=OFF; DELETE FROM line; DELETE FROM batch; DELETE FROM stream;")
    end = time.time_ns() // 1000
    batches = {}

    def lines():
        for i in range(1, rows + 1):
            app = 0 if i % 5 == 0 else 1 + (i * 7 + i // 5) % (APPS - 1)
            at = end - (rows - i) * (PERIOD_US // rows)
            b = batches.get((app, i // SPAN))
            if b is None:
                batches[app, i // SPAN] = [i, i, at, at, 1]
            else:
                b[1], b[3], b[4] = i, at, b[4] + 1
            yield i, app + 1, at, 0, b"%-88s%012d" % (b"GET /api/v1/items/%d 200 in %d ms" % (i % 977, i % 53), i)
    db.executemany("INSERT INTO line VALUES (?,?,?,?,?)", lines())
    db.executemany("INSERT INTO batch VALUES (?,?,?,?,?,?,?)", [(app + 1, f, l, a, z, n, n * 100) for (app, _), (f, l, a, z, n) in sorted(batches.items())])
    for app in range(APPS):
        last = max(b[1] for (a, _), b in batches.items() if a == app)
        db.execute("INSERT INTO stream VALUES (?,?,1,?,0,?,'x',0,0,?)", (app + 1, 1000 + app, ids[app], "app%d" % app, last))
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def measure(home, name, first_only=False, **params):
    took, answer = [], None
    for _ in range(ARGS.times):
        begin = time.monotonic()
        with home.client() as c:
            if "since_s" in params:
                params["since"] = time.time_ns() // 1000 - params.pop("since_s") * 1000000
            ident = c.send("logs", dict({"stream": True}, **params))
            if first_only:
                c.notification()
                took.append(time.monotonic() - begin)
            answer = c.reply(ident)
            if not first_only:
                took.append(time.monotonic() - begin)
    print("%-44s %8.1f ms   (%d lines matched)" % (name, statistics.median(took) * 1000, answer["result"]["matched"]), flush=True)


class Bench(harness.PmTest):
    limit = 3000

    def test(self):
        home = self.home
        quiet = home.file("quiet.sh", "exec sleep 100000\n")
        apps = [{"name": "app%d" % i, "script": quiet} for i in range(APPS)]
        home.start_apps(apps)
        home.ok("kill")
        home.wait_no_daemon()
        home.first_engine = None
        home.start_apps(apps)
        ids = [home.procs("app%d" % i)[0]["pm_id"] for i in range(APPS)]
        home.ok("kill")
        home.wait_no_daemon()
        home.first_engine = None
        begin = time.monotonic()
        fill(os.path.join(home.path, "logs.db"), ids, ARGS.rows)
        print("%d rows put in within %.0f s" % (ARGS.rows, time.monotonic() - begin), flush=True)
        home.start_apps(apps)
        home.client().close()
        measure(home, "since 1 m, one app: first line", True, selectors=["app0"], since_s=60 + 60)
        measure(home, "last 15 of one app", selectors=["app0"])
        measure(home, "last 15 of all", selectors=[])
        measure(home, "grep over one app's fifth, few matches", selectors=["app0"], grep=["items/976 .* in 4[0-9] ms"])
        measure(home, "grep over one app's fifth, counted", selectors=["app0"], grep=["in 5[0-2] ms"], count=True)
        measure(home, "grep over all, counted", selectors=[], grep=["items/976 "], count=True)


if __name__ == "__main__":
    harness.main()
