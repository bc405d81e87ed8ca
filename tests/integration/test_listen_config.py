"""What of sockets and clusters is decided before anything listens: flags, modes, counts of CPUs, words for children."""

import os
import shutil
import unittest

from harness import PmTest, child, main, proc_cmdline, proc_environ

SILENT = child("silent")[0]
NODE = shutil.which("node")


class Listen(PmTest):
    def setUp(self):
        super().setUp()
        self.script = self.home.file("server.py", "import time\ntime.sleep(1000)\n")

    def test_flag(self):
        path = os.path.join(self.home.path, "x.sock")
        self.home.ok("start", self.script, "--name", "a", "--listen", "127.0.0.1:0", "--listen", "unix:" + path, "--", "--fd={listen.listen1}")
        env = self.home.proc("a")["pm2_env"]
        self.assertEqual(env["listen"], [{"name": "listen0", "tcp": "127.0.0.1:0"}, {"name": "listen1", "unix": path}])
        self.assertEqual(env["args"], ["--fd={listen.listen1}"])
        pid = self.home.pid("a")
        variables = dict(v.decode().split("=", 1) for v in proc_environ(pid) if v)
        self.assertEqual((variables["LISTEN_FDS"], variables["LISTEN_FDNAMES"], variables["LISTEN_PID"]), ("2", "listen0:listen1", str(pid)))
        self.assertEqual(proc_cmdline(pid)[-1], "--fd=4")
        self.assertRegex(self.home.ok("env", "0").out, r"LISTEN_PID.{1,3}\b%d\b" % pid)
        self.assertIn("127.0.0.1:0", self.home.ok("describe", "a").out)

    def test_a_restart_gives_another_list(self):
        self.home.ok("start", self.script, "--name", "a", "--listen=127.0.0.1:0", "--", "{listen.listen0}")
        self.home.ok("start", "a", "--listen", "udp:127.0.0.1:0")
        self.home.ok("restart", "a", "--listen", "127.0.0.1:0", "--listen", "udp:127.0.0.1:0")
        self.assertEqual([sorted(x) for x in self.home.proc("a")["pm2_env"]["listen"]], [["name", "tcp"], ["name", "udp"]])
        before = self.home.pid("a")
        config = self.home.config([{"name": "a", "script": self.script, "args": ["{listen.web}"], "listen": {"name": "web", "tcp": "127.0.0.1:0"}}])
        self.home.ok("restart", config)
        self.assertNotEqual(self.home.pid("a"), before)
        # The arguments that are stored name a socket that the new list would not have.
        self.assertIn('listen has no entry with the name "web"; there is {listen.x}',
                      self.home.fails(1, "restart", self.home.config([{"name": "a", "script": self.script, "args": ["{listen.web}"],
                                                                       "listen": {"name": "x", "tcp": "127.0.0.1:0"}}])).err)

    def test_over_a_config(self):
        config = self.home.config([{"name": "a", "script": self.script, "listen": "127.0.0.1:0"}])
        self.home.ok("start", config)
        path = os.path.join(self.home.path, "x.sock")
        for command in ("restart", "reload", "startOrRestart", "startOrReload", "startOrGracefulReload"):
            self.home.ok(command, config)
            self.assertEqual([sorted(x) for x in self.home.proc("a")["pm2_env"]["listen"]], [["name", "tcp"]])
            self.home.ok(command, config, "--listen", "unix:" + path)
            self.assertEqual(self.home.proc("a")["pm2_env"]["listen"], [{"name": "listen0", "unix": path}])

    def test_wrong_ones(self):
        for words, message in ((["--listen", "soon"], '--listen: expected a port or host:port, found "soon"'), (["--listen", "70000"], "over 65535"),
                               (["--listen", "80", "--listen", "80"], "--listen: is the same address as listen[0]"),
                               (["--listen"], "--listen needs a value: --listen ADDRESS"), (["--listen", "example.org:80"], "is no IP address")):
            self.assertIn(message, self.home.fails(2, "start", self.script, *words).err)
        self.assertIn("{fd} could be any of 2 sockets", self.home.fails(1, "start", self.script, "--listen", "80", "--listen", "81", "--", "{fd}").err)
        self.assertEqual(self.home.daemons(), [])


class Mode(PmTest):
    @unittest.skipUnless(NODE, "needs node")
    def test_choice(self):
        script = self.home.file("app.js", "setInterval(() => {}, 1000);\n")
        cases = (("one", [], "fork"), ("two", ["-i", "1"], "cluster"), ("three", ["-i", "2"], "cluster"), ("four", ["-i", "-2"], "fork"))
        for name, flags, mode in cases:
            self.home.ok("start", script, "--name", name, *flags)
            self.assertEqual(self.home.procs(name)[0]["pm2_env"]["exec_mode"], mode + "_mode", name)
        self.assertEqual(self.home.procs("two")[0]["pm2_env"]["cluster_schedule"], "shared")
        self.assertNotIn("cluster_schedule", self.home.proc("one")["pm2_env"])
        self.assertRegex(self.home.ok("list").out, r"two.*cluster")
        config = self.home.config([{"name": "five", "script": script, "exec_mode": "cluster", "cluster_schedule": "slots", "graceful_http": False},
                                   {"name": "six", "script": script, "exec_mode": "fork", "instances": 2}])
        self.assertEqual(self.home.ok("start", config).err, "")
        env = self.home.proc("five")["pm2_env"]
        self.assertEqual((env["exec_mode"], env["cluster_schedule"], env["graceful_http"]), ("cluster_mode", "slots", False))
        self.assertEqual({p["pm2_env"]["exec_mode"] for p in self.home.procs("six")}, {"fork_mode"})

    def test_others_fork(self):
        self.home.ok("start", SILENT, "-i", "2", "--name", "a")
        self.assertEqual({p["pm2_env"]["exec_mode"] for p in self.home.procs("a")}, {"fork_mode"})
        config = self.home.config([{"name": "b", "script": SILENT, "exec_mode": "cluster"}])
        self.assertIn("exec_mode: cluster is for scripts of node or bun, and this is run by silent; use fork, and \"listen\"",
                      self.home.fails(1, "start", config).err)


class Cpus(PmTest):
    def test_the_daemons_count(self):
        all_of_them = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(all_of_them)})
        try:
            self.home.ok("start", SILENT, "--name", "first")
        finally:
            os.sched_setaffinity(0, all_of_them)
        self.home.ok("start", SILENT, "--name", "a", "-i", "max")
        self.assertEqual(len(self.home.procs("a")), 1)
        self.assertEqual(self.home.proc("a")["pm2_env"]["instances"], 1)
        self.assertIn("nothing to do", self.home.fails(1, "scale", "a", "max").err)
        self.home.ok("scale", "a", "+2")
        self.home.ok("scale", "a", "-1")
        self.assertEqual(len(self.home.procs("a")), 2)
        self.home.ok("scale", "a", "max")
        self.assertEqual(len(self.home.procs("a")), 1)
        self.assertIn("or max, not \"most\"", self.home.fails(2, "scale", "a", "most").err)


if __name__ == "__main__":
    main()
