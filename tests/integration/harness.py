"""Runs the real pm and pmd in private homes.

Every test gets a home of its own in a temporary folder. When it ends, the daemon is told to end, and a process that is left
over is killed and fails the test. Tests wait for conditions, never for a time to pass; limits are generous because the
machine may be slow, and grow by PM_TEST_SLOW (3 under AddressSanitizer).
"""

import base64
import collections
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

BIN = os.path.abspath(os.environ.get("PM_BIN", "build/dev/bin"))
CHILDREN = os.path.abspath(os.environ.get("PM_CHILDREN", "build/dev/tests/children"))
ASAN = "asan" in BIN or os.environ.get("PM_TEST_ASAN") == "1"
SLOW = float(os.environ.get("PM_TEST_SLOW", "3" if ASAN else "1"))
SCALE = float(os.environ.get("PM_TEST_SCALE", "0.1" if ASAN else "1"))
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
NOBODY = 65534
IS_ROOT = os.geteuid() == 0

Result = collections.namedtuple("Result", "code out err")


def child(name, *args):
    """Command line (a list) of one of the programs of tests/children."""
    return [os.path.join(CHILDREN, name), *map(str, args)]


def scaled(count, least=1):
    """A volume (lines, children), smaller where everything is slow."""
    return max(least, int(count * SCALE))


def wait_until(cond, timeout=20.0, what="condition", step=0.02):
    """Calls cond until it returns something true, and returns that."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %.0f s: %s" % (timeout * SLOW, what() if callable(what) else what))
        time.sleep(step)


def read_file(path, mode="r"):
    try:
        with open(path, mode, **({} if "b" in mode else {"errors": "replace"})) as f:
            return f.read()
    except OSError:
        return b"" if "b" in mode else ""


def proc_environ(pid):
    return read_file("/proc/%d/environ" % pid, "rb").split(b"\0")


def proc_cmdline(pid):
    return read_file("/proc/%d/cmdline" % pid, "rb").decode(errors="replace").split("\0")[:-1]


def proc_stat(pid):
    """Fields of /proc/PID/stat from the state on (state, ppid, ...); None when there is no such process."""
    text = read_file("/proc/%d/stat" % pid)
    return text[text.rindex(")") + 2:].split() if text else None


def alive(pid):
    """Does it run? A zombie does not."""
    stat = proc_stat(pid) if pid else None
    return bool(stat) and stat[0] not in "ZX"


def is_zombie(pid):
    stat = proc_stat(pid)
    return bool(stat) and stat[0] == "Z"


def start_ticks(pid):
    stat = proc_stat(pid)
    return int(stat[19]) if stat else None


def cpu_seconds(pid):
    stat = proc_stat(pid)
    return (int(stat[11]) + int(stat[12])) / CLOCK_TICKS if stat else 0.0


def open_files(pid):
    """How many descriptors it has; without those of metrics.db, which is opened when the first ten seconds are over."""
    def target(fd):
        try:
            return os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except FileNotFoundError:
            return ""
    return sum("/metrics.db" not in target(fd) for fd in os.listdir("/proc/%d/fd" % pid))


def send_signal(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def wait_dead(pid, timeout=20):
    wait_until(lambda: not alive(pid), timeout, "pid %d dead" % pid)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RpcError(Exception):
    def __init__(self, error):
        super().__init__("%s: %s" % (error.get("code"), error.get("message")))
        self.code = error.get("code")
        self.message = error.get("message")
        self.data = error.get("data")


class Closed(Exception):
    """The daemon closed the connection."""


class Client:
    """A raw JSON-RPC client."""

    def __init__(self, home, hello=True, timeout=30):
        self.home = home
        self.timeout = timeout * SLOW
        self.buffer = b""
        self.next_id = 1
        self.notifications = collections.deque()
        self.replies = {}
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        # Through the folder's descriptor, so that the length of the path does not matter.
        folder = os.open(home.path, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock.connect("/proc/self/fd/%d/pm.sock" % folder)
        except BaseException:
            self.sock.close()
            raise
        finally:
            os.close(folder)
        self.info = self.call("hello", {"protocol": 1, "version": "test", "by": "test"}) if hello else None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, method, params=None, **extra):
        ident = self.next_id
        self.next_id += 1
        message = {"jsonrpc": "2.0", "id": ident, "method": method}
        if params is not None:
            message["params"] = params
        message.update(extra)
        self.send_raw(json.dumps(message).encode() + b"\n")
        return ident

    def recv_line(self, timeout=None):
        """The next line as bytes; raises Closed at the end of the stream, socket.timeout when none comes."""
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError:
                raise Closed from None
            if not data:
                raise Closed
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def recv(self, timeout=None):
        return json.loads(self.recv_line(timeout))

    def reply(self, ident):
        while ident not in self.replies:
            message = self.recv()
            if "method" in message:
                self.notifications.append(message)
            else:
                self.replies[message.get("id")] = message
        return self.replies.pop(ident)

    def call(self, method, params=None):
        message = self.reply(self.send(method, params))
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def notification(self, timeout=None):
        if self.notifications:
            return self.notifications.popleft()
        while True:
            message = self.recv(timeout)
            if "method" in message:
                return message
            self.replies[message.get("id")] = message

    def raw_reply(self, data):
        """Sends bytes and returns the next message."""
        self.send_raw(data)
        return self.recv()

    def closed_by_peer(self, timeout=20):
        """Reads until the daemon closes; False when it does not in time."""
        end = time.monotonic() + timeout * SLOW
        while time.monotonic() < end:
            try:
                self.recv_line(max(0.05, end - time.monotonic()))
            except (Closed, ConnectionError):
                return True
            except TimeoutError:
                return False
        return False


class Home:
    """A private PM_HOME, and what runs in it."""

    def __init__(self, case, path=None, bin_dir=None, env=None, user=None):
        self.case = case
        self.tmp = tempfile.mkdtemp(prefix="pmt.")
        os.chmod(self.tmp, 0o755)
        self.path = path or os.path.join(self.tmp, "home")
        self.work = os.path.join(self.tmp, "work")
        self.reports = os.path.join(self.tmp, "reports")
        self.bin_dir = bin_dir or BIN
        self.user = user
        self.marker = uuid.uuid4().hex
        self.first_engine = None
        self.engine_may_die = False
        self.leftovers_allowed = False
        for folder in (self.work, self.reports):
            os.mkdir(folder)
        if user is not None:
            for folder in (self.tmp, self.work, self.reports):
                os.chown(folder, user, user)
        self.env = {
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.path.dirname(shutil.which("node") or "/usr/bin/node"), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
            "HOME": self.work,
            "LANG": "C.UTF-8",
            "PM_HOME": self.path,
            "PM_TEST_HOME": self.marker,
            "ASAN_OPTIONS": "log_path=%s/asan:detect_leaks=1" % self.reports,
            "UBSAN_OPTIONS": "log_path=%s/ubsan:print_stacktrace=1" % self.reports,
        }
        self.env.update(env or {})

    # ---- commands

    def popen(self, *args, env=None, cwd=None, program="pm", **kw):
        full = dict(self.env)
        full.update(env or {})
        full = {k: v for k, v in full.items() if v is not None}
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        if self.user is not None:
            kw.update(user=self.user, group=self.user, extra_groups=[])
        return subprocess.Popen([os.path.join(self.bin_dir, program), *map(str, args)], env=full, cwd=cwd or self.work, **kw)

    def finish(self, process, timeout=60):
        """Waits for a command started with popen."""
        try:
            out, err = process.communicate(timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError("%s did not end within %.0f s\nstdout: %s\nstderr: %s" % (
                process.args, timeout * SLOW, (out or b"").decode(errors="replace")[-2000:],
                (err or b"").decode(errors="replace")[-2000:])) from None
        return Result(process.returncode, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))

    def pm(self, *args, timeout=60, env=None, cwd=None):
        result = self.finish(self.popen(*args, env=env, cwd=cwd), timeout)
        if self.first_engine is None:
            self.first_engine = self.engine_pid()
        return result

    def ok(self, *args, **kw):
        result = self.pm(*args, **kw)
        self.case.assertEqual(result.code, 0, "pm %s\nstdout: %s\nstderr: %s" % (" ".join(map(str, args)), result.out, result.err))
        return result

    def fails(self, code, *args, **kw):
        result = self.pm(*args, **kw)
        self.case.assertEqual(result.code, code, "pm %s\nstdout: %s\nstderr: %s" % (" ".join(map(str, args)), result.out, result.err))
        return result

    def start(self, name, command, *flags, **kw):
        """pm start of a program with arguments."""
        program, *args = command if isinstance(command, list) else [command]
        return self.ok("start", program, "--name", name, *flags, *(["--", *args] if args else []), **kw)

    def start_apps(self, apps, expect=0, timeout=120, **kw):
        """Starts apps (a list of objects) from a JSON file."""
        path = self.config(apps)
        result = self.pm("start", path, timeout=timeout, **kw)
        if expect is not None:
            self.case.assertEqual(result.code, expect, "%s\n%s" % (result.out[-3000:], result.err[-3000:]))
        return result

    def config(self, apps, name=None):
        path = os.path.join(self.work, name or "apps-%s.json" % uuid.uuid4().hex[:8])
        with open(path, "w") as f:
            json.dump({"apps": apps} if isinstance(apps, list) else apps, f)
        os.chmod(path, 0o644)
        return path

    def file(self, name, text, mode=0o755):
        """Writes a file into the work folder and returns its path."""
        path = os.path.join(self.work, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if isinstance(text, str) else "wb") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    # ---- what runs

    def jlist(self, **kw):
        return json.loads(self.ok("jlist", **kw).out)

    def procs(self, name):
        return [p for p in self.jlist() if p["name"] == name]

    def proc(self, name):
        found = self.procs(name)
        self.case.assertEqual(len(found), 1, "processes named %s: %d" % (name, len(found)))
        return found[0]

    def status(self, name):
        return self.proc(name)["pm2_env"]["status"]

    def pid(self, name):
        return self.proc(name)["pid"]

    def restarts(self, name):
        return self.proc(name)["pm2_env"]["restart_time"]

    def wait_status(self, name, status, timeout=20):
        wait_until(lambda: self.status(name) == status, timeout,
                   lambda: "%s is %s (now %s)" % (name, status, self.status(name)), step=0.05)
        return self.proc(name)

    def wait_restarts(self, name, at_least, timeout=20):
        wait_until(lambda: self.restarts(name) >= at_least, timeout,
                   lambda: "%s restarted %d times (now %d)" % (name, at_least, self.restarts(name)), step=0.05)

    def why(self, name, **params):
        with self.client() as c:
            found = c.call("why", dict({"selectors": [str(name)]}, **params))
        self.case.assertEqual(len(found), 1)
        return found[0]

    def two_runs(self, name):
        """The newest two runs, once there are two."""
        self.case.assertTrue(wait_until(lambda: len(self.why(name)["runs"]) >= 2))
        return self.why(name)["runs"][:2]

    def client(self, **kw):
        return Client(self, **kw)

    def client_when_ready(self, timeout=20):
        """A client that has said hello, as soon as an engine answers."""
        def attempt():
            try:
                return Client(self, timeout=5)
            except (OSError, Closed, RpcError):
                return None
        return wait_until(attempt, timeout, "the daemon answers")

    def all_pids(self):
        """Every process that belongs to this home, except commands that are running."""
        mine = b"PM_TEST_HOME=" + self.marker.encode()
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            pid = int(entry)
            cmdline = proc_cmdline(pid)
            if not cmdline or not alive(pid):
                continue
            if mine in proc_environ(pid) or ("--home" in cmdline and self.path in cmdline):
                if os.path.basename(cmdline[0]) != "pm":
                    found.append(pid)
        return found

    @staticmethod
    def is_pmd(pid):
        return os.path.basename((proc_cmdline(pid) or [""])[0]) == "pmd"

    def daemons(self):
        return [p for p in self.all_pids() if self.is_pmd(p)]

    def app_pids(self):
        return [p for p in self.all_pids() if not self.is_pmd(p)]

    def keeper_pids(self):
        return [p for p in self.daemons() if "--engine" not in proc_cmdline(p)]

    def engine_pids(self):
        return [p for p in self.daemons() if "--engine" in proc_cmdline(p)]

    def keeper_pid(self):
        text = read_file(os.path.join(self.path, "pmd.pid")).strip()
        return int(text) if text.isdigit() else None

    def engine_pid(self):
        keeper = self.keeper_pid()
        for child_pid in read_file("/proc/%s/task/%s/children" % (keeper, keeper)).split() if keeper else []:
            if int(child_pid) in self.engine_pids():
                return int(child_pid)
        pids = self.engine_pids()
        return pids[0] if pids else None

    def one_daemon(self):
        """Exactly one keeper and one engine, both alive."""
        return len(self.keeper_pids()) == 1 and len(self.engine_pids()) == 1

    def kill_engine(self):
        """kill -9 of the engine; returns its pid."""
        self.engine_may_die = True
        pid = wait_until(self.engine_pid, what="an engine runs")
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_new_engine(self, old, timeout=20):
        """Waits until an engine other than `old` answers; returns its pid."""
        def answered():
            try:
                with Client(self, timeout=5) as c:
                    return c.info["pid"] if c.info["pid"] != old else None
            except (OSError, Closed, RpcError):
                return None
        return wait_until(answered, timeout, "a new engine answers")

    def replace_engine(self):
        return self.wait_new_engine(self.kill_engine())

    def wait_no_daemon(self, timeout=30):
        wait_until(lambda: not self.daemons(), timeout, lambda: "no daemon is left: %s" % self.daemons())

    def spawn_pmd(self, *args, **kw):
        return self.popen("--home", self.path, *args, program="pmd", **kw)

    # ---- files

    def log(self, name="pmd.log"):
        return read_file(os.path.join(self.path, name))

    def log_path(self, app, stream="out", ident=None):
        return os.path.join(self.path, "logs", "%s-%s%s.log" % (app, stream, "" if ident is None else "-%d" % ident))

    def app_log(self, app, stream="out", ident=None):
        return read_file(self.log_path(app, stream, ident))

    def wait_log(self, app, text, stream="out", timeout=20):
        wait_until(lambda: text in self.app_log(app, stream), timeout,
                   lambda: "%r in the %s log of %s: %r" % (text, stream, app, self.app_log(app, stream)[-500:]))

    def database(self, name):
        """A copy of a database with its write-ahead log, taken between two writes."""
        files = [os.path.join(self.path, name + suffix) for suffix in ("", "-wal")]
        def state():
            return [(os.stat(f).st_mtime_ns, os.stat(f).st_size) if os.path.exists(f) else None for f in files]
        def copy():
            folder = tempfile.mkdtemp(dir=self.tmp)
            before = state()
            for f in files:
                if os.path.exists(f):
                    shutil.copy(f, folder)
            if state() == before:
                return os.path.join(folder, name)
            shutil.rmtree(folder)
            return None
        return sqlite3.connect(wait_until(copy, 60, "a moment in which %s is not written" % name, step=0.5))

    def log_rows(self, app, stream):
        """All stored lines of an app's stream as bytes, in their order."""
        db = self.database("logs.db")
        try:
            rows = db.execute("SELECT text FROM line JOIN stream ON stream.id = line.stream WHERE app = ? AND kind = ? ORDER BY line.id",
                              (app, {"out": 1, "err": 2}[stream]))
            return [r[0] if isinstance(r[0], bytes) else r[0].encode() for r in rows]
        finally:
            db.close()

    def history(self, name, lines=10000, **params):
        """Lines of an app as the daemon tells them."""
        with self.client() as c:
            return c.call("logs", dict({"selectors": [name], "lines": lines}, **params))["lines"]

    @staticmethod
    def text_of(line):
        return base64.b64decode(line["base64"]) if "base64" in line else line["text"].encode()

    # ---- the end

    def close(self):
        """Ends the daemon; returns a list of complaints."""
        complaints = []
        if self.daemons():
            if not self.engine_may_die and self.first_engine and self.engine_pid() != self.first_engine:
                complaints.append("the engine died by itself: pid %s became %s" % (self.first_engine, self.engine_pid()))
            try:
                result = self.pm("kill", timeout=40)
                if result.code != 0:
                    complaints.append("pm kill: exit %d: %s%s" % result)
                self.wait_no_daemon(20)
            except AssertionError as e:
                complaints.append("pm kill: %s" % e)
        left = self.all_pids()
        if left and not self.leftovers_allowed:
            complaints.append("left over: " + ", ".join("%d %s" % (p, proc_cmdline(p)) for p in left))
        # Keepers first, or they would start new engines.
        for pid in sorted(left, key=lambda p: (not self.is_pmd(p), "--engine" in proc_cmdline(p))):
            send_signal(pid, signal.SIGCONT)
            send_signal(pid, signal.SIGKILL)
        for name in sorted(os.listdir(self.reports)):
            complaints.append("sanitizer report %s:\n%s" % (name, read_file(os.path.join(self.reports, name))[:6000]))
        return complaints

    def remove(self):
        shutil.rmtree(self.tmp, ignore_errors=True)


class TimeLimit(Exception):
    pass


class PmTest(unittest.TestCase):
    """One home a test; self.home is there from the start. `limit` is in seconds for each test."""

    limit = 60
    maxDiff = 4000

    def setUp(self):
        self.homes = []
        signal.signal(signal.SIGALRM, self._too_long)
        signal.setitimer(signal.ITIMER_REAL, self.limit * SLOW)
        self.addCleanup(self._end)
        self.home = self.new_home()

    def new_home(self, **kw):
        home = Home(self, **kw)
        self.homes.append(home)
        return home

    def _too_long(self, *_):
        raise TimeLimit("the test took longer than %.0f s" % (self.limit * SLOW))

    def _end(self):
        signal.setitimer(signal.ITIMER_REAL, 0)
        failed = not getattr(getattr(self, "_outcome", None), "success", True)
        complaints = []
        for home in self.homes:
            log = home.log()
            found = home.close()
            complaints += found
            if failed or found:
                sys.stderr.write("\n---- %s, end of pmd.log ----\n%s\n----\n" % (self.id(), "\n".join(log.splitlines()[-60:])))
            home.remove()
        if complaints:
            self.fail("\n".join(complaints))

    def assertPidsAlive(self, pids):
        dead = [p for p in pids if not alive(p)]
        self.assertEqual(dead, [], "these pids are dead")

    def assertCleanSequence(self, lines, count, what):
        """Lines must be "%08d ..." from 0 to count-1, each once, whole and in order."""
        for i, line in enumerate(lines):
            if not line.startswith(b"%08d " % i) or not line.endswith(b" ."):
                self.fail("%s: line %d of %d (of %d expected) is %r, after %r" % (
                    what, i, len(lines), count, line[:200], lines[i - 1][:100] if i else b""))
        self.assertEqual(len(lines), count, what)


def raise_nofile():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main():
    if not os.access(os.path.join(BIN, "pm"), os.X_OK):
        sys.exit("no pm in %s: set PM_BIN to the folder that holds pm and pmd" % BIN)
    unittest.main(module="__main__")
