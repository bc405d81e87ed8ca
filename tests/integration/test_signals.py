"""Signals to the daemon, --no-daemon, and what comes back afterwards."""

import json
import os
import signal

from harness import PmTest, SLOW, alive, child, main, read_file, wait_until


class Foreground(PmTest):
    def daemon(self, *args):
        log = open(os.path.join(self.home.tmp, "foreground.log"), "w")
        self.addCleanup(log.close)
        process = self.home.spawn_pmd("--no-daemon", *args, stdout=log, stderr=log)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.home.client_when_ready().close()
        return process

    def ended(self, process):
        return process.wait(timeout=40 * SLOW)

    def test_stays_in_the_foreground(self):
        process = self.daemon()
        self.assertIsNone(process.poll())
        self.assertEqual(self.home.keeper_pid(), process.pid)
        self.home.start("a", child("silent"))
        self.home.ok("kill")
        self.assertEqual(self.ended(process), 0)

    def test_sigterm_stops_the_apps_and_exits_0(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            process = self.daemon()
            if sig == signal.SIGTERM:
                self.home.start("a", child("silent"), "-i", "3")
                self.home.start_apps([{"name": "b", "script": child("stubborn")[0], "kill_timeout": 500}])
            wait_until(lambda: len(self.home.app_pids()) == 4, what="all four run")
            pids = self.home.app_pids()
            os.kill(process.pid, sig)
            self.assertEqual(self.ended(process), 0)
            self.assertEqual([p for p in pids if alive(p)], [])
            self.home.wait_no_daemon()
            self.home.first_engine = None

    def test_a_second_sigterm_does_no_harm(self):
        process = self.daemon()
        self.home.start_apps([{"name": "b", "script": child("stubborn")[0], "kill_timeout": 1500}])
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: process.poll() is not None or not os.kill(process.pid, signal.SIGTERM), 0.5 * SLOW, "sent")
        self.assertEqual(self.ended(process), 0)
        self.assertEqual(self.home.app_pids(), [])

    def test_commands_while_it_ends(self):
        process = self.daemon()
        self.home.start_apps([{"name": "b", "script": child("stubborn")[0], "kill_timeout": 3000}])
        os.kill(process.pid, signal.SIGTERM)
        with self.home.client() as c:
            try:
                c.call("start", {"apps": [{"name": "n", "script": child("silent")[0], "cwd": "/", "exec_interpreter": "none"}]})
                self.fail("started while shutting down")
            except Exception as e:
                self.assertIn("-32013", str(e))
        self.assertEqual(self.ended(process), 0)
        self.assertEqual(self.home.app_pids(), [])

    def test_engine_killed_during_the_shutdown(self):
        process = self.daemon()
        self.home.start_apps([{"name": "b", "script": child("stubborn")[0], "kill_timeout": 3000}])
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: self.home.status("b") == "stopping", what="stopping")
        self.home.kill_engine()
        self.ended(process)
        wait_until(lambda: not self.home.app_pids(), what="no app is left")


class Signals(PmTest):
    def test_sighup_is_ignored(self):
        self.home.start("a", child("silent"))
        pid = self.home.pid("a")
        keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
        os.kill(keeper, signal.SIGHUP)
        os.kill(engine, signal.SIGHUP)
        self.home.ok("ping")
        self.assertEqual((self.home.keeper_pid(), self.home.engine_pid(), self.home.pid("a")), (keeper, engine, pid))

    def test_sigpipe_is_no_danger(self):
        self.home.start("a", child("silent"))
        for _ in range(20):
            c = self.home.client()
            for _ in range(20):
                c.send("list", {"full": True})
            c.close()
        self.home.ok("ping")

    def test_sigusr2_reopens_all_files(self):
        names = [("e%d" % i) for i in range(3)]
        for name in names:
            self.home.start(name, child("echo_stdin"))
            self.home.wait_log(name, "listening")
        for name in names:
            os.rename(self.home.log_path(name), self.home.log_path(name) + ".1")
        os.kill(self.home.keeper_pid(), signal.SIGUSR2)
        for name in names:
            wait_until(lambda: os.path.exists(self.home.log_path(name)), what="a new file for " + name)
            self.home.ok("send", name, "fresh")
            self.home.wait_log(name, "got: fresh")
            self.assertEqual(read_file(self.home.log_path(name) + ".1"), "listening\n")

    def test_the_daemons_own_log_is_rotated(self):
        """At 10 MB; three old ones are kept, and both processes go on with the new one."""
        self.home.start("a", child("silent"))
        path = os.path.join(self.home.path, "pmd.log")
        for i in range(5):
            old = os.stat(path).st_ino
            with open(path, "a") as f:
                f.write("mark %d\n" % i)
            os.truncate(path, 10 * 1000 * 1000 + 1)
            wait_until(lambda: os.path.exists(path) and os.stat(path).st_ino != old, what="a new pmd.log")
            self.assertEqual(os.stat(path + ".1").st_ino, old)
            keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
            for pid in (keeper, engine):
                wait_until(lambda: os.readlink("/proc/%d/fd/2" % pid) == path, what="both write to the new one")
        self.assertEqual(sorted(n for n in os.listdir(self.home.path) if n.startswith("pmd.log")),
                         ["pmd.log", "pmd.log.1", "pmd.log.2", "pmd.log.3"])
        for i, name in ((4, ".1"), (3, ".2"), (2, ".3")):
            self.assertIn("mark %d\n" % i, read_file(path + name))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_reload_logs(self):
        self.home.start("e", child("echo_stdin"))
        self.home.wait_log("e", "listening")
        os.rename(self.home.log_path("e"), self.home.log_path("e") + ".1")
        self.home.ok("reloadLogs")
        self.home.ok("send", "e", "fresh")
        self.home.wait_log("e", "got: fresh")

    def test_apps_come_back_after_a_sigterm(self):
        self.home.start("a", child("silent"), "-i", "2")
        self.home.start("down", child("silent"))
        self.home.ok("stop", "down")
        os.kill(self.home.keeper_pid(), signal.SIGTERM)
        self.home.wait_no_daemon()
        self.assertEqual(self.home.app_pids(), [])
        self.assertEqual(json.loads(self.home.ok("jlist").out), [])
        self.home.first_engine = None
        self.home.start("new", child("silent"))
        wait_until(lambda: {(p["name"], p["pm2_env"]["status"]) for p in self.home.jlist()} ==
                   {("a", "online"), ("down", "stopped"), ("new", "online")}, what="the last desired state")
        self.assertEqual(len(self.home.procs("a")), 2)

    def test_nothing_comes_back_after_pm_kill(self):
        self.home.start("a", child("silent"))
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.home.first_engine = None
        self.home.start("new", child("silent"))
        self.assertEqual([p["name"] for p in self.home.jlist()], ["new"])

    def test_a_caller_that_ignores_sigpipe_and_blocks_signals(self):
        """What the caller's shell had blocked or ignored does not reach the apps."""
        def block():
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])
        command = self.home.popen("start", child("silent")[0], preexec_fn=block, restore_signals=False)
        self.assertEqual(self.home.finish(command).code, 0)
        status = read_file("/proc/%d/status" % self.home.pid("silent"))
        for mask in ("SigBlk", "SigIgn"):
            self.assertRegex(status, r"%s:\s+0{16}\n" % mask)
        self.home.ok("stop", "silent")
        self.assertEqual(self.home.why("silent")["runs"][0]["reason"], "stopped")

    def test_the_terminal_of_the_caller_may_close(self):
        """The daemon is in a session of its own and holds none of the caller's descriptors."""
        self.home.start("a", child("silent"))
        for pid in self.home.daemons():
            targets = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
            self.assertEqual([t for t in targets if t.startswith("/dev/pts") or t == "/dev/tty"], [])
        keeper = self.home.keeper_pid()
        self.assertEqual(os.getsid(keeper), keeper)
        self.assertEqual(os.readlink("/proc/%d/cwd" % keeper), "/")


if __name__ == "__main__":
    main()
