"""`listen`: sockets that the daemon owns and gives to apps of any language. They outlive every process of the app, and the daemon."""

import os
import pwd
import signal
import socket
import stat
import threading
import time
import unittest

from harness import IS_ROOT, PmTest, alive, free_port, main, proc_stat, wait_dead, wait_until

NOBODY = pwd.getpwnam("nobody")

# Answers with its pid on one of the sockets that it was given. Blocking calls: as simple as a server can be.
SERVER = """
import os, socket, sys
n = int(os.environ["LISTEN_FDS"])
assert int(os.environ["LISTEN_PID"]) == os.getpid()
s = socket.socket(fileno=3 + (int(sys.argv[1]) if len(sys.argv) > 1 else 0))
for i in range(n):
    os.fstat(3 + i)
print("up", n, flush=True)
while True:
    c, _ = s.accept()
    try:
        if c.recv(100):
            c.sendall(b"%d" % os.getpid())
    except OSError:
        pass
    c.close()
"""
DATAGRAMS = """
import os, socket
s = socket.socket(fileno=3)
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b"%d" % os.getpid(), peer)
"""


def ask(where, timeout=20):
    """The pid of the process that answers."""
    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as c:
        c.settimeout(timeout)
        c.connect(where if isinstance(where, str) else ("127.0.0.1", where))
        c.sendall(b"x")
        return int(c.recv(100) or b"0")


def refused(where):
    try:
        ask(where)
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


def listeners(port):
    """How many sockets listen on the port."""
    n = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table) as f:
            for line in f.read().splitlines()[1:]:
                words = line.split()
                n += int(words[1].rsplit(":", 1)[1], 16) == port and words[3] == "0A"
    return n


class Crowd:
    """Asks again and again, and counts connections that were refused."""

    def __init__(self, where):
        self.where, self.refused, self.answers, self.stopped = where, 0, [], False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped:
            try:
                self.answers.append(ask(self.where))
            except (ConnectionRefusedError, FileNotFoundError):
                self.refused += 1
            except OSError:
                pass  # one that a process had accepted when it was killed

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: len(self.answers) > 5, what="the crowd is served")
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()


class Listen(PmTest):
    limit = 120

    def setUp(self):
        super().setUp()
        self.port = free_port()

    def app(self, listen=None, name="web", text=SERVER, **options):
        return dict({"name": name, "script": self.home.file(name + ".py", text), "interpreter": "python3",
                     "listen": "127.0.0.1:%d" % self.port if listen is None else listen}, **options)

    def begin(self, listen=None, **options):
        self.home.start_apps([self.app(listen, **options)])

    def test_start_stop_delete(self):
        self.begin()
        self.assertEqual(ask(self.port), self.home.pid("web"))
        self.home.ok("stop", "web")
        self.assertTrue(refused(self.port))
        self.home.ok("start", "web")
        self.assertEqual(ask(self.port), self.home.pid("web"))
        self.home.ok("delete", "web")
        self.assertTrue(refused(self.port))
        self.begin()  # and the port is free for the next
        self.assertEqual(ask(self.port), self.home.pid("web"))
        self.home.ok("kill")
        self.assertTrue(refused(self.port))

    def test_restart_refuses_nobody(self):
        self.begin()
        first = self.home.pid("web")
        with Crowd(self.port) as crowd:
            self.home.ok("restart", "web")
            second = self.home.pid("web")
            wait_until(lambda: second in crowd.answers, what="the next process serves")
        self.assertEqual((crowd.refused, set(crowd.answers) - {0}), (0, {first, second}))

    def test_a_killed_process(self):
        """A connection that comes while there is none waits for the next."""
        self.begin(restart_delay=700)
        pid = self.home.pid("web")
        os.kill(pid, signal.SIGKILL)
        wait_dead(pid)
        answer = ask(self.port)
        self.assertNotEqual(answer, pid)
        self.assertEqual(answer, self.home.pid("web"))

    def test_engine_killed(self):
        self.begin()
        pid = self.home.pid("web")
        with Crowd(self.port) as crowd:
            for _ in range(3):
                self.home.replace_engine()
            self.home.ok("restart", "web")
            wait_until(lambda: self.home.pid("web") in crowd.answers, what="the next process serves")
        self.assertEqual(crowd.refused, 0)
        self.assertFalse(alive(pid))
        self.home.replace_engine()
        self.home.ok("stop", "web")
        self.assertTrue(refused(self.port))

    def test_engine_killed_while_the_process_is_down(self):
        self.begin(restart_delay=3000)
        os.kill(self.home.pid("web"), signal.SIGKILL)
        self.home.wait_status("web", "waiting restart")
        self.home.replace_engine()
        self.assertEqual(ask(self.port), self.home.pid("web"))

    def test_keeper_killed(self):
        self.begin()
        pid, old = self.home.pid("web"), self.home.keeper_pid()
        with Crowd(self.port) as crowd:
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: self.home.keeper_pid() not in (None, old) and self.home.one_daemon(), what="a new keeper")
            self.assertEqual(self.home.pid("web"), pid)
            self.home.replace_engine()  # the new keeper has it too
            self.home.ok("restart", "web")
            wait_until(lambda: self.home.pid("web") in crowd.answers, what="the next process serves")
        self.assertEqual(crowd.refused, 0)

    def kill_both(self):
        self.home.engine_may_die = True
        keeper, engine = self.home.keeper_pid(), self.home.engine_pid()
        os.kill(keeper, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not self.home.daemons(), what="both are dead")

    def test_both_killed(self):
        self.begin()
        pid = self.home.pid("web")
        self.kill_both()
        self.assertEqual(ask(self.port), pid)
        with Crowd(self.port) as crowd:
            self.begin(listen="127.0.0.1:%d" % free_port(), name="other")  # starts the next daemon
            self.assertEqual(self.home.pid("web"), pid)
            taken = "took back the socket" in self.home.log()
            self.home.ok("restart", "web")
            wait_until(lambda: self.home.pid("web") in crowd.answers, what="the next process serves")
        if taken:  # else this kernel does not let us, and the port was bound anew
            self.assertEqual(crowd.refused, 0)
        self.home.ok("stop", "web")
        self.assertTrue(refused(self.port))

    def test_update(self):
        self.begin()
        self.home.engine_may_die = True
        with Crowd(self.port) as crowd:
            self.home.ok("update")
            self.home.ok("restart", "web")
            wait_until(lambda: self.home.pid("web") in crowd.answers, what="the next process serves")
        self.assertEqual(crowd.refused, 0)

    def test_in_use(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", self.port))
            s.listen(1)
            result = self.home.start_apps([self.app()], expect=1)
            self.assertIn("cannot listen on 127.0.0.1:%d: Address already in use (by pid %d " % (self.port, os.getpid()),
                          result.out + result.err)
            self.assertEqual(self.home.status("web"), "errored")
        self.home.ok("start", "web")
        self.assertEqual(ask(self.port), self.home.pid("web"))
        result = self.home.start_apps([self.app(name="second")], expect=1)
        self.assertIn("Address already in use (by the app web: 127.0.0.1:%d)" % self.port, result.out + result.err)

    def test_several(self):
        path = os.path.join(self.home.path, "s.sock")
        self.begin([self.port, "unix:" + path], args=["1"])
        self.home.wait_log("web", "up 2\n")
        self.assertEqual(ask(path), self.home.pid("web"))
        self.assertEqual(listeners(self.port), 1)

    def test_another_address(self):
        """A changed configuration: what it does not name any more is closed when the next process starts."""
        self.begin()
        before, self.port = self.port, free_port()
        self.home.start_apps([self.app()])
        self.home.ok("restart", "web")
        self.assertEqual(ask(self.port), self.home.pid("web"))
        self.assertTrue(refused(before))

    def test_unix(self):
        path = os.path.join(self.home.path, "s.sock")
        self.begin({"unix": path, "mode": "0620"})
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o620)
        self.assertIn("  listen0 unix %s (mode 0620)\n" % path, self.home.ok("describe", "web").out)
        self.assertEqual(ask(path), self.home.pid("web"))
        with Crowd(path) as crowd:
            self.home.ok("restart", "web")
            self.home.replace_engine()
        self.assertEqual(crowd.refused, 0)
        self.home.ok("stop", "web")
        wait_until(lambda: not os.path.exists(path), what="the file is removed")
        self.home.ok("start", "web")
        self.assertEqual(ask(path), self.home.pid("web"))
        # A changed mode is that of the socket that there is.
        with Crowd(path) as crowd:
            self.home.start_apps([self.app({"unix": path, "mode": "0666"})])
            self.home.ok("restart", "web")
        self.assertEqual((crowd.refused, stat.S_IMODE(os.stat(path).st_mode)), (0, 0o666))
        # Somebody removes it: the next start makes it again.
        os.unlink(path)
        self.home.ok("restart", "web")
        self.assertEqual(ask(path), self.home.pid("web"))

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_unix_owner(self):
        folder = os.path.join(self.home.path, "open")
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "s.sock")
        self.begin({"unix": path, "mode": "0600", "owner": "nobody", "group": str(NOBODY.pw_gid)})
        st = os.stat(path)
        self.assertEqual((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (NOBODY.pw_uid, NOBODY.pw_gid, 0o600))
        self.assertEqual(ask(path), self.home.pid("web"))

    def test_datagrams(self):
        self.begin({"udp": "127.0.0.1:%d" % self.port}, text=DATAGRAMS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
            c.settimeout(20)
            c.connect(("127.0.0.1", self.port))
            c.send(b"x")
            self.assertEqual(int(c.recv(100)), self.home.pid("web"))
            self.home.ok("restart", "web")
            c.send(b"x")
            self.assertEqual(int(c.recv(100)), self.home.pid("web"))

    def test_instances_share_it(self):
        self.begin(instances=3)
        pids = {p["pid"] for p in self.home.procs("web")}
        self.assertEqual(listeners(self.port), 1)
        for pid in sorted(pids)[1:]:
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: proc_stat(pid)[0] == "T", what="it has stopped, and takes no connection any more")
        self.assertIn(ask(self.port), pids)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def test_slots(self):
        """One socket for each instance; that of one which is stopped takes no connections."""
        self.begin({"tcp": "127.0.0.1:%d" % self.port, "slots": True}, instances=2)
        self.assertEqual(listeners(self.port), 2)
        wait_until(lambda: len({ask(self.port) for _ in range(20)}) == 2, what="both serve")
        first, second = self.home.procs("web")
        self.home.ok("stop", str(second["pm_id"]))
        self.assertEqual(listeners(self.port), 1)
        self.assertEqual({ask(self.port) for _ in range(20)}, {first["pid"]})
        self.home.replace_engine()
        self.home.ok("restart", "web")
        self.assertEqual(listeners(self.port), 2)
        self.home.ok("stop", "web")
        self.assertEqual(listeners(self.port), 0)

    def test_storm_of_engines(self):
        """The engine dies at any moment of starts and restarts: there is always one socket, and it serves in the end."""
        self.begin()
        for i in range(8):
            command = self.home.popen("restart", "web")
            time.sleep(0.013 * i)
            self.home.replace_engine()
            self.home.finish(command)
            self.assertEqual(listeners(self.port), 1)
        wait_until(lambda: self.home.status("web") == "online", what="it is up")
        self.assertEqual(ask(self.port), self.home.pid("web"))


if __name__ == "__main__":
    main()
