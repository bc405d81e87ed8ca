"""Twenty reloads under load lose no request: Node clusters, a Python server with LISTEN_FDS, and gunicorn."""

import shutil
import unittest

from harness import main, scaled
from webload import LoadCase

RELOADS = scaled(20, 4)


class Reloads(LoadCase):
    def reloads(self, app, rate=400):
        """Reloads with a new version each time, while clients of both kinds ask."""
        self.start(app)
        loads = self.loads(rate=rate)
        for i in range(1, RELOADS + 1):
            before = self.pids()
            self.version("v%d" % i)
            self.home.ok("reload", "web")
            self.assertFalse(set(before) & set(self.pids()))
        for load in loads:
            load.wait_more()
        last = "v%d" % RELOADS
        for counts in self.assertNoneLost(loads):
            self.assertIn(last, counts["words"])
        self.assertEqual(self.ask()[0], last)
        self.assertEqual([p["pm2_env"]["restart_time"] for p in self.home.procs("web")], [RELOADS] * app["instances"])


class Node(Reloads):
    def test_2_workers(self):
        self.reloads(self.node(2))

    def test_4_workers(self):
        self.reloads(self.node(4))

    def test_as_much_as_comes_through(self):
        self.reloads(self.node(2), rate=None)

    def test_round_robin(self):
        self.reloads(self.node(2, cluster_schedule="round_robin"))


class Python(Reloads):
    def test_2_workers(self):
        self.reloads(self.python(2))

    def test_4_workers(self):
        self.reloads(self.python(4))


@unittest.skipUnless(shutil.which("gunicorn"), "needs gunicorn")
class Gunicorn(Reloads):
    def test_2_workers(self):
        self.reloads(self.gunicorn(2))

    def test_4_workers(self):
        self.reloads(self.gunicorn(4))


if __name__ == "__main__":
    main()
