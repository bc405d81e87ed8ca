"""New versions that do not work, under load: the old workers serve on, the command says why, and no request is lost."""

from harness import main, wait_until
from webload import LoadCase

KEPT = "the old one goes on"


class BadVersion(LoadCase):
    def refused(self, app, version, words):
        """A reload to this version fails, saying these words; then one to a good version works."""
        self.start(app)
        before = self.pids()
        loads = self.loads(rate=200)
        self.version(version)
        result = self.home.fails(1, "reload", "web")
        self.assertRegex(result.err, words + ".*; " + KEPT)
        self.assertEqual(self.pids(), before)
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("web")}, {"online"})
        self.assertEqual([p["pm2_env"]["restart_time"] for p in self.home.procs("web")], [0] * app["instances"])
        wait_until(lambda: sorted(self.home.app_pids()) == sorted(before), what="the new one is gone")
        for load in loads:
            # One that listens but is not ready has served until it was removed.
            served = load.counts()["words"].get(version, 0)
            load.wait_more()
            self.assertEqual(load.counts()["words"].get(version, 0), served)
        self.version("v1")
        self.home.ok("reload", "web")
        self.assertFalse(set(before) & set(self.pids()))
        for load in loads:
            load.wait_more()
        for counts in self.assertNoneLost(loads):
            self.assertEqual(set(counts["words"]) - {"unready"}, {"v0", "v1"})
        return result


class Node(BadVersion):
    def test_it_throws(self):
        result = self.refused(self.node(2), "throws", "the new process exited with code 1")
        self.assertIn("the new version is broken", result.err)

    def test_it_never_listens(self):
        self.refused(self.node(2, listen_timeout=1000), "mute", "within 1 s")

    def test_it_listens_on_another_port(self):
        self.refused(self.node(2, listen_timeout=1000), "elsewhere", "within 1 s")

    def test_it_is_never_ready(self):
        self.refused(self.node(2, listen_timeout=1000, wait_ready=True), "unready", "not ready within 1 s")

    def test_round_robin(self):
        self.refused(self.node(2, listen_timeout=1000, cluster_schedule="round_robin"), "elsewhere", "within 1 s")


class Python(BadVersion):
    def test_it_throws(self):
        result = self.refused(self.python(2), "throws", "the new process exited with code 1")
        self.assertIn("the new version is broken", result.err)

    def test_it_is_never_ready(self):
        self.refused(self.python(2, listen_timeout=1000), "unready", "not ready within 1 s")


if __name__ == "__main__":
    main()
