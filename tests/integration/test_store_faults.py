"""state.db and logs.db damaged at the start or full while running: the apps never notice, and it is said clearly."""

import ctypes
import glob
import os
import shutil
import signal
import subprocess
import unittest

from harness import IS_ROOT, PmTest, alive, child, main, read_file, wait_until

CLONE_NEWNS = 0x00020000
GARBAGE = b"this is no database at all; " * 3000
TICKER = "i=0\nwhile :; do echo tick $i; i=$((i+1)); sleep 0.05; done\n"


def identity(records):
    return [(p["pm_id"], p["name"], p["pid"], p["pm2_env"]["restart_time"], p["pm2_env"]["pm_uptime"], p["pm2_env"]["status"])
            for p in records]


def to_garbage(path):
    with open(path, "wb") as f:
        f.write(GARBAGE)


def to_half(path):
    os.truncate(path, os.path.getsize(path) // 2)


def to_nothing(path):
    os.truncate(path, 0)


def to_damaged_middle(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for offset in range(4096, size, 4096):
            f.seek(offset)
            f.write(b"\xa5" * min(4096, size - offset))


def to_folder(path):
    os.unlink(path)
    os.mkdir(path)


class Damage(PmTest):
    limit = 90

    def setUp(self):
        super().setUp()
        self.home.ok("start", self.home.file("ticker.sh", TICKER))
        self.home.start("a", child("silent"), "-i", "3")
        self.home.start("tree", child("fork_setsid"))
        self.home.start("down", child("silent"))
        self.home.ok("stop", "down")
        self.home.ok("restart", "a")
        self.home.wait_log("ticker", "tick 5\n")
        self.before = identity(self.home.jlist())

    def with_engine_down(self, action):
        """Runs action while no engine runs; returns when the next one answers."""
        engine, keeper = self.home.engine_pid(), self.home.keeper_pid()
        self.home.engine_may_die = True
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not alive(engine), what="no engine")
        action()
        os.kill(keeper, signal.SIGCONT)
        self.home.wait_new_engine(engine, 40)

    def path(self, name):
        return os.path.join(self.home.path, name)

    def damage(self, name, how, wal=True):
        def action():
            if wal:
                for suffix in ("-wal", "-shm"):
                    if os.path.exists(self.path(name + suffix)):
                        os.unlink(self.path(name + suffix))
            how(self.path(name))
        self.with_engine_down(action)

    def check_apps(self, with_stopped=True):
        """All that ran runs on, under its name, with its counters; the rest of the daemon works."""
        running = [p for p in self.before if p[2]]
        self.assertPidsAlive([p[2] for p in running])
        now = identity(self.home.jlist())
        self.assertEqual([p for p in now if p[2]], running)
        if with_stopped:
            self.assertEqual(now, self.before)
        size = len(self.home.app_log("ticker"))
        wait_until(lambda: len(self.home.app_log("ticker")) > size, what="the ticker is logged")
        wait_until(lambda: self.home.history("ticker", 5), what="rows are there")
        self.home.start("new", child("silent"))
        self.home.ok("stop", "tree")
        self.home.ok("restart", "a")
        self.home.ok("delete", "all")
        self.assertEqual(self.home.app_pids(), [])

    def check_said(self, name):
        self.assertIn(name, self.home.log())
        self.assertRegex(self.home.log(), r"(?i)%s.*(damaged|corrupt|not a database|kept|malformed)" % name)

    def check_kept(self, name, content=None):
        copies = [p for p in glob.glob(self.path(name) + ".*") if not p.endswith(".bak")]
        self.assertTrue(copies, os.listdir(self.home.path))
        if content is not None:
            self.assertIn(content, [read_file(p, "rb") for p in copies])

    def test_state_garbage(self):
        self.damage("state.db", to_garbage)
        self.check_said("state.db")
        self.check_kept("state.db", GARBAGE)
        self.check_apps(with_stopped=False)

    def test_state_garbage_and_no_copy(self):
        def action(path):
            to_garbage(path)
            if os.path.exists(path + ".bak"):
                to_garbage(path + ".bak")
        self.damage("state.db", action)
        self.check_said("state.db")
        self.check_apps(with_stopped=False)

    def test_state_truncated(self):
        self.damage("state.db", to_half)
        self.check_said("state.db")
        self.check_kept("state.db")
        self.check_apps(with_stopped=False)

    def test_state_pages_damaged(self):
        self.damage("state.db", to_damaged_middle)
        self.check_said("state.db")
        self.check_kept("state.db")
        self.check_apps(with_stopped=False)

    def test_state_empty(self):
        self.damage("state.db", to_nothing)
        self.check_apps(with_stopped=False)

    def test_state_missing(self):
        self.damage("state.db", os.unlink)
        self.check_apps(with_stopped=False)

    def test_state_is_a_folder(self):
        self.damage("state.db", to_folder)
        self.check_apps(with_stopped=False)

    def test_state_wal_garbage(self):
        def action():
            with open(self.path("state.db-wal"), "wb") as f:
                f.write(GARBAGE)
        self.with_engine_down(action)
        self.check_apps(with_stopped=False)

    def test_logs_garbage(self):
        self.damage("logs.db", to_garbage)
        self.check_said("logs.db")
        self.check_kept("logs.db", GARBAGE)
        self.check_apps()

    def test_logs_truncated(self):
        wait_until(lambda: self.home.history("ticker", 5), what="rows")
        self.damage("logs.db", to_half)
        self.check_said("logs.db")
        self.check_kept("logs.db")
        self.check_apps()

    def test_logs_pages_damaged(self):
        self.damage("logs.db", to_damaged_middle)
        self.check_apps()

    def test_logs_empty_and_missing(self):
        self.damage("logs.db", to_nothing)
        self.damage("logs.db", os.unlink)
        self.check_apps()

    def test_both_garbage(self):
        def action():
            for name in ("state.db", "logs.db"):
                for suffix in ("-wal", "-shm"):
                    if os.path.exists(self.path(name + suffix)):
                        os.unlink(self.path(name + suffix))
                to_garbage(self.path(name))
        self.with_engine_down(action)
        self.check_said("state.db")
        self.check_said("logs.db")
        self.check_apps(with_stopped=False)

    def test_lines_stay_whole_when_the_rows_are_lost(self):
        """The flat file has a cursor of its own; losing logs.db with it must not tear or repeat what is there already."""
        self.damage("logs.db", to_garbage)
        size = len(self.home.app_log("ticker"))
        wait_until(lambda: len(self.home.app_log("ticker")) > size + 100, what="the ticker is logged")
        lines = self.home.app_log("ticker").split("\n")[:-1]
        ticks = [l for l in lines if l.startswith("tick ")]
        # A line that tells of a loss may stand between them; a torn or repeated one may not.
        numbers = [int(t[5:]) for t in ticks]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_files_deleted_while_running(self):
        for name in ("state.db", "logs.db"):
            for suffix in ("", "-wal", "-shm"):
                if os.path.exists(self.path(name + suffix)):
                    os.unlink(self.path(name + suffix))
        size = len(self.home.app_log("ticker"))
        wait_until(lambda: len(self.home.app_log("ticker")) > size, what="the ticker is logged")
        self.home.start("new", child("silent"))
        self.home.ok("stop", "a")
        wait_until(lambda: os.path.exists(self.path("state.db")), what="state.db is made again")
        self.assertPidsAlive([p[2] for p in self.before if p[2] and p[1] != "a"])
        self.home.replace_engine()
        self.assertEqual({p["name"] for p in self.home.jlist()}, {"ticker", "a", "tree", "down", "new"})


class FreshStart(PmTest):
    def test_garbage_before_the_first_start(self):
        os.mkdir(self.home.path, 0o700)
        for name in ("state.db", "logs.db"):
            to_garbage(os.path.join(self.home.path, name))
        self.home.start("a", child("silent"))
        self.assertEqual(self.home.status("a"), "online")
        for name in ("state.db", "logs.db"):
            self.assertIn(name, self.home.log())
            self.assertTrue(any(read_file(p, "rb") == GARBAGE for p in glob.glob(os.path.join(self.home.path, name + ".*"))))

    def test_a_newer_schema_is_not_touched(self):
        """A database of a later version of pm: it is kept, not overwritten."""
        import sqlite3
        self.home.start("a", child("silent"))
        os.kill(self.home.keeper_pid(), signal.SIGTERM)
        self.home.wait_no_daemon()
        self.home.first_engine = None
        for name in ("state.db", "logs.db"):
            db = sqlite3.connect(os.path.join(self.home.path, name))
            db.execute("PRAGMA user_version = 999")
            db.execute("CREATE TABLE from_the_future (x)")
            db.commit()
            db.close()
        self.home.pm("start", child("silent")[0], "--name", "b")
        for name in ("state.db", "logs.db"):
            found = [p for p in glob.glob(os.path.join(self.home.path, name) + "*") if b"from_the_future" in read_file(p, "rb")]
            self.assertTrue(found, name)


@unittest.skipUnless(IS_ROOT, "only root can mount a small file system")
class DiskFull(PmTest):
    limit = 120

    @classmethod
    def setUpClass(cls):
        # A mount namespace of our own: what is mounted here vanishes with this process and those that it starts.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise unittest.SkipTest("unshare: " + os.strerror(ctypes.get_errno()))
        if subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("mount --make-rprivate is not allowed here")

    def setUp(self):
        super().setUp()
        os.mkdir(self.home.path, 0o700)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", self.home.path], capture_output=True, text=True)
        if made.returncode != 0:
            self.skipTest("mount tmpfs: " + made.stderr)

    def _end(self):
        try:
            super()._end()
        finally:
            subprocess.run(["umount", "-l", self.home.path], capture_output=True)
            shutil.rmtree(self.home.tmp, ignore_errors=True)

    def fill(self):
        path = os.path.join(self.home.path, "ballast")
        size = 65536
        with open(path, "ab", buffering=0) as f:
            while size >= 1:
                try:
                    f.write(b"\0" * size)
                except OSError:
                    size //= 2
        return path

    def test_disk_full_while_running(self):
        self.home.ok("start", self.home.file("ticker.sh", TICKER))
        self.home.start("a", child("silent"), "-i", "3")
        self.home.start("flood", child("flood", 200000, 20000))
        self.home.wait_log("ticker", "tick 5\n")
        before = identity(self.home.jlist())
        ballast = self.fill()
        def full():
            return os.statvfs(self.home.path).f_bavail == 0
        wait_until(full, what="the disk is full")
        # Commands answer and act; the change that cannot be stored is reported as such.
        command = self.home.pm("stop", "a")
        self.fill()
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("a")}, {"stopped"})
        said = command.err + command.out
        second = self.home.pm("restart", "a")
        said += second.err + second.out
        self.assertRegex(said, r"(?i)(not saved|full|no space|state\.db)")
        self.assertEqual({p["pm2_env"]["status"] for p in self.home.procs("a")}, {"online"})
        rest = [p for p in before if p[1] != "a"]
        self.assertEqual([p for p in identity(self.home.jlist()) if p[1] != "a"], rest)
        self.home.replace_engine()
        self.assertEqual([p for p in identity(self.home.jlist()) if p[1] != "a"], rest)
        os.unlink(ballast)
        subprocess.run(["mount", "-o", "remount,size=200m", self.home.path], check=True)
        # Space is back: what came in the meantime is written, as far as it was not dropped and counted.
        size = len(self.home.app_log("ticker"))
        wait_until(lambda: len(self.home.app_log("ticker")) > size + 100, 40, "the ticker's file goes on")
        wait_until(lambda: self.home.history("ticker", 3)[-1]["text"] in self.home.app_log("ticker"), 40, "rows and file agree")
        self.home.ok("restart", "a")
        pids = [p["pid"] for p in self.home.procs("a")]
        self.home.replace_engine()
        self.assertEqual([p["pid"] for p in self.home.procs("a")], pids)
        numbers = [int(l[5:]) for l in self.home.app_log("ticker").split("\n")[:-1] if l.startswith("tick ")]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_disk_full_at_the_first_start(self):
        ballast = self.fill()
        result = self.home.pm("start", child("silent")[0])
        self.assertTrue(result.code == 0 or result.err.strip())
        os.unlink(ballast)
        if result.code != 0:
            wait_until(lambda: self.home.pm("start", child("silent")[0]).code == 0 or self.home.procs("silent"), what="it works now")
        self.home.wait_status("silent", "online")


if __name__ == "__main__":
    main()
