"""Programs as users have them, unmodified, in fork and in cluster mode: they serve, are reloaded, and end when told to."""

import concurrent.futures
import json
import os
import shutil
import urllib.error
import urllib.request

from harness import PmTest, SLOW, alive, free_port, main, proc_stat, wait_until

APPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps", "users")
DEBIAN_NODE = "/usr/share/nodejs"  # where Debian's packages of Node modules are


class UserPrograms(PmTest):
    limit = 90

    def setUp(self):
        super().setUp()
        shutil.copytree(APPS, self.home.work, dirs_exist_ok=True)
        self.port = free_port()
        self.home.env["PORT"] = str(self.port)

    def get(self, path="/", port=None, data=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (port or self.port, path), data=data,
                                         headers={"Content-Type": "application/json"} if data else {})
        with urllib.request.urlopen(request, timeout=30 * SLOW) as answer:
            return answer.read().decode().strip()

    def answers(self):
        try:
            self.get()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def start(self, script, *flags):
        self.home.ok("start", script, "--name", "app", *flags)
        wait_until(self.answers, 30, "the app answers")

    def pids(self):
        return {p["pid"] for p in self.home.procs("app")}

    def modes(self):
        return {p["pm2_env"]["exec_mode"] for p in self.home.procs("app")}

    def who(self, path="/", count=40):
        """The answers to many requests at once, so that every worker gets some."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: self.get(path), range(count)))

    def end(self):
        """They end by themselves on the signal: nothing of them is left, and nobody had to be killed."""
        pids = self.home.app_pids()
        self.home.ok("stop", "app")
        self.assertFalse([p for p in pids if alive(p)])
        for process in self.home.procs("app"):
            run = self.home.why(str(process["pm_id"]))["runs"][0]
            self.assertNotIn("SIGKILL", json.dumps(run))
        self.home.ok("delete", "app")

    def in_both_modes(self, script, check):
        """`check(pids)` under fork mode and in a cluster of two; then a reload of the cluster, and again."""
        for mode in ([], ["-i", "2"]):
            with self.subTest(script + " " + " ".join(mode)):
                self.start(script, *mode)
                self.assertEqual(self.modes(), {"cluster_mode" if mode else "fork_mode"})
                check(self.pids())
                old = self.pids()
                self.home.ok("reload", "app")
                wait_until(self.answers, 30, "the app answers")
                self.assertFalse(old & self.pids())
                check(self.pids())
                self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("app")}, {"online"})
                self.end()

    # ---- the programs

    def test_http_server(self):
        def check(pids):
            wait_until(lambda: {int(a) for a in self.who()} == pids, what="every process answers, and nobody else")
        self.in_both_modes("http_server.js", check)

    def test_requests_under_way_are_answered(self):
        """A reload while each worker is busy with answers that take a while."""
        self.start("http_server.js", "-i", "2")
        old = self.pids()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            slow = [pool.submit(self.get, "/slow") for _ in range(12)]
            self.home.ok("reload", "app")
            self.assertEqual(len([s.result() for s in slow]), 12)
        self.assertFalse({int(a) for a in self.who()} & old)
        self.end()

    def test_instances_in_a_config(self):
        self.home.start_apps([{"name": "app", "script": "http_server.js", "instances": 2, "env": {"PORT": str(self.port)}}])
        self.assertEqual(self.modes(), {"cluster_mode"})
        wait_until(lambda: {int(a) for a in self.who()} == self.pids(), what="both answer")
        self.end()

    def test_esm(self):
        def check(pids):
            cluster = str(len(pids) == 2).lower()
            wait_until(lambda: {a for a in self.who()} == {"%d %s" % (p, cluster) for p in pids}, what="every process answers")
        self.in_both_modes("esm_server.mjs", check)

    def test_express(self):
        if os.path.isdir(DEBIAN_NODE + "/express"):
            self.home.env["NODE_PATH"] = DEBIAN_NODE
        else:
            shutil.copytree(os.path.join(APPS, "express_like"), os.path.join(self.home.work, "node_modules", "express"))

        def check(pids):
            wait_until(lambda: {int(a) for a in self.who()} == pids, what="every process answers")
            self.assertEqual(json.loads(self.get("/users/7?x=1")), {"id": "7", "query": {"x": "1"}})
            self.assertEqual(json.loads(self.get("/users", data=b'{"name": "Ada"}')), {"created": "Ada"})
            with self.assertRaises(urllib.error.HTTPError) as missing:
                self.get("/nothing")
            self.assertEqual(missing.exception.code, 404)
            missing.exception.close()
        self.in_both_modes("express_app.js", check)

    def test_parent_with_child(self):
        """The child of a cluster worker is a child like any: its channel is its parent's, not the daemon's."""
        def check(pids):
            seen = [json.loads(a) for a in self.who("/100")]
            self.assertEqual({a["sum"] for a in seen}, {5050})
            self.assertLessEqual({a["parent"] for a in seen}, pids)
            for a in seen:
                self.assertEqual(int(proc_stat(a["pid"])[1]), a["parent"])
                self.assertNotIn("channel", a, "the child knows of a channel")
                self.assertEqual(a["args"], 0, "the child has flags that its parent was not given")
        self.in_both_modes("parent.js", check)

    def test_thread_pool(self):
        def check(pids):
            seen = [json.loads(a) for a in self.who("/100000")]
            self.assertEqual({a["sum"] for a in seen}, {5000050000})
            self.assertLessEqual({a["pid"] for a in seen}, pids)
            self.assertGreater(len({a["threadId"] for a in seen}), 1)
        self.in_both_modes("thread_pool.js", check)

    def test_event_loop_delay(self):
        """What it measures is its own: at rest next to nothing, and what it blocks itself."""
        def check(pids):
            seen = [json.loads(a) for a in self.who()]
            self.assertLessEqual({a["pid"] for a in seen}, pids)
            self.assertTrue(wait_until(lambda: json.loads(self.get())["p50"] > 0))
            self.get("/block")
            wait_until(lambda: max(json.loads(a)["max"] for a in self.who()) >= 150, what="the delay is measured")
            self.assertLess(min(json.loads(a)["p50"] for a in self.who()), 150)
        self.in_both_modes("loop_delay.js", check)

    def test_app_with_its_own_cluster(self):
        """In fork mode it is the primary of its own workers, which pm stops with it."""
        self.start("own_cluster.js")
        pid = self.home.pid("app")
        wait_until(lambda: len({a.split()[0] for a in self.who()}) == 2, what="both of its workers answer")
        self.assertEqual({int(a.split()[1]) for a in self.who()}, {pid})
        self.home.ok("restart", "app")
        wait_until(self.answers, 30, "the app answers")
        wait_until(lambda: {int(a.split()[1]) for a in self.who()} == {self.home.pid("app")}, what="its new workers answer")
        self.end()

    def test_default_port(self):
        """Without PORT: the port of the tutorials, where nobody has it."""
        del self.home.env["PORT"]
        self.port = 3000
        if self.answers():
            self.skipTest("port 3000 is in use")
        self.start("http_server.js", "-i", "2")
        wait_until(lambda: {int(a) for a in self.who()} == self.pids(), what="both answer")
        self.end()


if __name__ == "__main__":
    main()
