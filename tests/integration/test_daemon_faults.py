"""The keeper dies, both die, the engine cannot start; and who may be the daemon of a home."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from harness import BIN, CHILDREN, IS_ROOT, NOBODY, Client, Closed, PmTest, RpcError, alive, child, main, read_file, wait_until

TICKER = "i=0\nwhile :; do echo tick $i; i=$((i+1)); sleep 0.1; done\n"


def identity(records):
    return [(p["pm_id"], p["name"], p["pid"], p["pm2_env"]["restart_time"], p["pm2_env"]["pm_uptime"], p["pm2_env"]["status"])
            for p in records]


class KeeperKill(PmTest):
    limit = 120

    def replace_keeper(self):
        self.home.engine_may_die = True
        old = self.home.keeper_pid()
        os.kill(old, signal.SIGKILL)
        def attached():
            now = self.home.keeper_pid()
            if now in (None, old) or not alive(now):
                return None
            try:
                with Client(self.home, timeout=5) as c:
                    return now if c.info["keeper_pid"] == now else None
            except (OSError, Closed, RpcError):
                return None
        return wait_until(attached, 30, "a new keeper is attached")

    def test_no_app_dies(self):
        self.home.start("a", child("silent"), "-i", "5")
        self.home.start("e", child("echo_stdin"))
        before = identity(self.home.jlist())
        self.replace_keeper()
        self.assertEqual(identity(self.home.jlist()), before)
        wait_until(self.home.one_daemon, what="one keeper and one engine")
        self.home.ok("send", "e", "still here")
        self.home.wait_log("e", "got: still here")
        self.home.start("later", child("silent"))
        self.home.ok("restart", "a")
        self.home.ok("stop", "all")
        self.assertEqual(self.home.app_pids(), [])

    def test_twenty_times(self):
        self.home.start("a", child("silent"), "-i", "5")
        before = identity(self.home.jlist())
        for _ in range(20):
            self.replace_keeper()
        self.assertEqual(identity(self.home.jlist()), before)
        self.assertEqual(sorted(self.home.app_pids()), sorted(p[2] for p in before))
        wait_until(self.home.one_daemon, what="one keeper and one engine")

    def test_ends_of_children_of_a_dead_keeper(self):
        """Nobody of ours can wait for them any more, but the kernel still tells their status through a pidfd."""
        self.home.start("code", child("crash_after", 3000, "code", 7), "--no-autorestart")
        self.home.start("sig", child("silent"), "--no-autorestart")
        self.home.start("again", child("silent"))
        first = self.home.pid("again")
        self.replace_keeper()
        os.kill(self.home.pid("sig"), signal.SIGKILL)
        os.kill(first, signal.SIGKILL)
        for name in ("code", "sig"):
            self.home.wait_status(name, "stopped")
        release = tuple(int(x) for x in os.uname().release.split(".")[:2])
        if release >= (6, 15):
            run = self.home.why("code")["runs"][0]
            self.assertEqual((run["reason"], run["exit_code"]), ("exit", 7))
            self.assertEqual(self.home.why("sig")["runs"][0]["reason"], "signal")
        self.home.wait_log("code", "last words", "error")
        wait_until(lambda: self.home.pid("again") not in (0, first), what="restarted under the new keeper")

    def test_keeper_then_engine_then_keeper(self):
        self.home.start("a", child("silent"), "-i", "3")
        before = identity(self.home.jlist())
        for _ in range(3):
            self.replace_keeper()
            self.home.replace_engine()
        self.assertEqual(identity(self.home.jlist()), before)
        self.home.ok("stop", "all")
        self.assertEqual(self.home.app_pids(), [])


class Both(PmTest):
    limit = 90

    def kill_both(self):
        self.home.engine_may_die = True
        keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not self.home.daemons(), what="both are dead")

    def test_readopted_by_the_next_daemon(self):
        self.home.ok("start", self.home.file("ticker.sh", TICKER))
        self.home.start("a", child("silent"), "-i", "4")
        self.home.start("down", child("silent"))
        self.home.ok("stop", "down")
        self.home.wait_log("ticker", "tick 3\n")
        before = identity(self.home.jlist())
        apps = sorted(self.home.app_pids())
        self.kill_both()
        self.assertTrue(set(p[2] for p in before if p[2]) <= set(self.home.app_pids()))
        self.home.start("new", child("silent"))
        after = [r for r in identity(self.home.jlist()) if r[1] != "new"]
        self.assertEqual(after, before)
        wait_until(self.home.one_daemon, what="one keeper and one engine")
        # Its output is taken again, and its end seen.
        size = len(self.home.app_log("ticker"))
        wait_until(lambda: len(self.home.app_log("ticker")) > size + 50, what="the ticker is logged again")
        first = self.home.procs("a")[0]["pid"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: self.home.procs("a")[0]["pid"] not in (0, first), what="a is restarted")
        self.assertEqual(len(self.home.procs("a")), 4)
        self.assertTrue(apps)
        self.home.ok("stop", "all")
        self.assertEqual(self.home.app_pids(), [])

    def test_twice(self):
        self.home.start("a", child("silent"), "-i", "3")
        before = identity(self.home.jlist())
        for turn in range(2):
            self.kill_both()
            self.home.start("new%d" % turn, child("silent"))
        self.assertEqual([r for r in identity(self.home.jlist()) if r[1] == "a"], before)

    def test_what_died_in_between_comes_back(self):
        self.home.start("a", child("silent"))
        self.home.start("once", child("silent"), "--no-autorestart")
        pids = [self.home.pid("a"), self.home.pid("once")]
        self.kill_both()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(alive(p) for p in pids), what="both apps are dead")
        self.home.start("new", child("silent"))
        self.home.wait_status("a", "online")
        self.assertNotEqual(self.home.pid("a"), pids[0])
        self.assertEqual(self.home.status("once"), "stopped")
        self.assertIn(self.home.why("once")["runs"][0]["reason"], ("lost", "signal"))

    def test_read_only_commands_do_not_readopt(self):
        self.home.start("a", child("silent"))
        pid = self.home.pid("a")
        self.kill_both()
        self.assertEqual(self.home.jlist(), [])
        self.assertEqual(self.home.daemons(), [])
        self.home.start("b", child("silent"))
        self.assertEqual(self.home.pid("a"), pid)


class BrokenEngine(PmTest):
    def test_the_keeper_keeps_everything_and_says_so(self):
        copy = os.path.join(self.home.tmp, "bin")
        shutil.copytree(BIN, copy)
        self.home.bin_dir = copy
        self.home.start("e", child("echo_stdin"))
        self.home.start("a", child("silent"), "-i", "3")
        before = identity(self.home.jlist())
        pmd = os.path.join(copy, "pmd")
        os.rename(pmd, pmd + ".good")
        self.home.file("garbage", b"\x7fELF this is no program\n", 0o755)
        shutil.copy(os.path.join(self.home.work, "garbage"), pmd)
        self.home.kill_engine()
        wait_until(lambda: "cannot execute the engine" in self.home.log(), what="words in pmd.log")
        self.home.client_when_ready(30).close()
        self.assertIn("going over to the image that served last", self.home.log())
        self.assertPidsAlive([p[2] for p in before])
        self.assertTrue(alive(self.home.keeper_pid()))
        os.rename(pmd + ".good", pmd)
        self.home.kill_engine()
        self.home.client_when_ready(30).close()
        self.assertEqual(identity(self.home.jlist()), before)
        self.home.ok("send", "e", "back")
        self.home.wait_log("e", "got: back")


class OneDaemon(PmTest):
    def test_100_first_commands_at_once(self):
        commands = [self.home.popen("start", child("silent")[0], "--name", "a%02d" % i) for i in range(100)]
        codes = [self.home.finish(c, 60) for c in commands]
        self.assertEqual([c for c in codes if c.code != 0], [])
        self.assertTrue(self.home.one_daemon(), self.home.daemons())
        self.assertEqual(len(self.home.jlist()), 100)
        self.assertEqual(len(self.home.app_pids()), 100)

    def test_stale_socket_lock_and_pid_file(self):
        os.mkdir(self.home.path, 0o700)
        for name in ("pm.sock", "attach.sock"):
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(os.path.join(self.home.path, name))
        for name, text in (("pmd.lock", "garbage\n"), ("pmd.pid", "1\n")):
            with open(os.path.join(self.home.path, name), "w") as f:
                f.write(text)
        self.assertEqual(self.home.jlist(), [])
        self.home.fails(1, "ping")
        self.home.start("a", child("silent"))
        self.assertEqual(self.home.status("a"), "online")

    def test_files_where_the_sockets_belong(self):
        os.mkdir(self.home.path, 0o700)
        with open(os.path.join(self.home.path, "pm.sock"), "w") as f:
            f.write("not a socket\n")
        self.home.start("a", child("silent"))
        self.assertEqual(self.home.status("a"), "online")

    def test_long_home_path(self):
        home = self.new_home()
        home.path = os.path.join(home.tmp, *["a-folder-with-a-long-name-%d" % i for i in range(9)], "home")
        home.env["PM_HOME"] = home.path
        self.assertGreater(len(home.path), 200)
        os.makedirs(os.path.dirname(home.path))
        home.start("e", child("echo_stdin"))
        home.ok("send", "e", "far away")
        home.wait_log("e", "got: far away")
        pid = home.pid("e")
        home.replace_engine()
        self.assertEqual(home.pid("e"), pid)
        home.start_apps([{"name": "ready", "script": child("ready_notify")[0], "args": ["50"], "wait_ready": True}])
        self.assertEqual(home.status("ready"), "online")

    def test_a_second_pmd_says_so(self):
        self.home.start("a", child("silent"))
        result = self.home.finish(self.home.spawn_pmd("--no-daemon"))
        self.assertEqual(result.code, 1)
        self.assertIn(str(self.home.keeper_pid()), result.err + result.out)
        self.assertEqual(self.home.finish(self.home.spawn_pmd("--autostart")).code, 0)
        wait_until(self.home.one_daemon, what="one keeper and one engine")
        self.assertEqual(self.home.status("a"), "online")

    def test_a_home_that_cannot_be_made(self):
        blocked = self.home.file("file", "")
        result = self.home.fails(1, "start", child("silent")[0], env={"PM_HOME": blocked + "/home"})
        self.assertIn(blocked, result.err)

    def test_two_homes_do_not_see_each_other(self):
        other = self.new_home()
        self.home.start("a", child("silent"))
        other.start("b", child("silent"))
        other.ok("stop", "all")
        self.assertEqual(self.home.status("a"), "online")
        other.ok("kill")
        self.assertEqual(self.home.status("a"), "online")

    def test_the_folder_of_the_caller_may_vanish(self):
        folder = os.path.join(self.home.work, "gone")
        os.mkdir(folder)
        self.home.start("a", child("silent"), "--cwd", "/", cwd=folder)
        os.rmdir(folder)
        self.home.replace_engine()
        self.home.start("b", child("silent"))
        self.assertEqual(len(self.home.jlist()), 2)


CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.settimeout(20)
try:
    s.connect(sys.argv[1])
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"list"}\\n')
    print(repr(s.recv(10000)))
except PermissionError:
    print("no permission")
except ConnectionError:
    print(repr(b''))
"""


@unittest.skipUnless(IS_ROOT, "only root can become another user")
class OtherUsers(PmTest):
    def attempt(self):
        return subprocess.run([sys.executable, "-c", CONNECT, os.path.join(self.home.path, "pm.sock")], capture_output=True, text=True,
                              timeout=60).stdout.strip()

    def test_the_folder_is_closed(self):
        self.home.start("a", child("silent"))
        self.assertEqual(self.attempt(), "no permission")

    def test_the_daemon_checks_too(self):
        self.home.start("a", child("silent"))
        os.chmod(self.home.path, 0o755)
        os.chmod(os.path.join(self.home.path, "pm.sock"), 0o777)
        answer = self.attempt()
        self.assertTrue(answer == "b''" or "-32002" in answer, answer)
        self.assertNotIn("silent", answer)
        self.assertEqual(self.home.status("a"), "online")

    def test_root_may_talk_to_the_daemon_of_another(self):
        home = self.new_home(user=NOBODY)
        # The programs must be reachable for that user.
        copy = os.path.join(home.tmp, "bin")
        shutil.copytree(BIN, copy)
        shutil.copytree(CHILDREN, os.path.join(home.tmp, "children"))
        home.bin_dir = copy
        home.start("a", [os.path.join(home.tmp, "children", "silent")])
        record = home.proc("a")
        self.assertRegex(read_file("/proc/%d/status" % record["pid"]), r"Uid:\s+%d\s+%d\s" % (NOBODY, NOBODY))
        home.user = None
        self.assertEqual(home.status("a"), "online")
        home.user = NOBODY
        home.replace_engine()
        self.assertEqual(home.pid("a"), record["pid"])
        home.ok("stop", "a")


if __name__ == "__main__":
    main()
