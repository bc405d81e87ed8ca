"""The library for `adopt` alone: this test holds the sockets, as the daemon does, and starts unmodified programs with it."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from harness import BIN, IS_ROOT, NOBODY, SLOW, wait_until

LIBRARY = os.path.join(os.path.dirname(BIN), "lib", "libpm-adopt.so")
PYTHON = os.path.realpath(sys.executable)

PRELUDE = """
import errno, fcntl, os, socket, struct, sys, threading
def tcp(family=socket.AF_INET):
    return socket.socket(family, socket.SOCK_STREAM)
def bind_error(s, host, port):
    try:
        s.bind((host, port))
    except OSError as e:
        return e.errno
    return 0
def cookie(s):
    return s.getsockopt(socket.SOL_SOCKET, 57, 8)
def listens(s):
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
PORT = int(sys.argv[1])
"""


def listener(host="127.0.0.1", port=0, v6only=False, backlog=128):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if ":" in host:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((host, port))
    s.listen(backlog)
    s.setblocking(False)
    return s


def port_of(s):
    return s.getsockname()[1]


def queue_length(s):
    # tcpi_sacked of a listening socket
    return int.from_bytes(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)[28:32], sys.byteorder)


class Shim(unittest.TestCase):
    def setUp(self):
        self.children = []
        self.sockets = []
        self.folder = tempfile.mkdtemp(prefix="pmt.")
        os.chmod(self.folder, 0o755)
        self.library = shutil.copy(LIBRARY, self.folder)

    def tearDown(self):
        for c in self.children:
            if c.poll() is None:
                c.kill()
            c.communicate()
        for s in self.sockets:
            s.close()
        shutil.rmtree(self.folder)

    def listener(self, *args, **kw):
        self.sockets.append(listener(*args, **kw))
        return self.sockets[-1]

    def start(self, command, given, said=None, **kw):
        """`given`: sockets; `said`: what the variable says of them."""
        if said is None:
            said = ";".join("%d=%s:%d" % (s.fileno(), "[%s]" % s.getsockname()[0] if s.family == socket.AF_INET6 else
                                          s.getsockname()[0], port_of(s)) for s in given)
        env = dict(os.environ, LD_PRELOAD=self.library, PM_ADOPT=said, PYTHONUNBUFFERED="1")
        c = subprocess.Popen(list(map(str, command)), env=env, pass_fds=[s.fileno() for s in given], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, cwd=self.folder, **kw)
        self.children.append(c)
        return c

    def python(self, code, given, *args, port=None, **kw):
        """Runs a program to its end; it must succeed. Returns what it printed."""
        c = self.start([PYTHON, "-c", PRELUDE + textwrap.dedent(code), port or port_of(given[0]), *args], given, **kw)
        out, err = c.communicate(timeout=60 * SLOW)
        self.assertEqual(c.returncode, 0, out + err)
        return out.strip()

    def get(self, port, host="127.0.0.1"):
        c = http.client.HTTPConnection(host, port, timeout=30 * SLOW)
        try:
            c.request("GET", "/")
            return c.getresponse().read()
        finally:
            c.close()

    def serve_twice(self, command, host="127.0.0.1", **kw):
        """Answers, is killed, and what is asked meanwhile is answered by the next one."""
        s = self.listener(host)
        command = [str(port_of(s)) if w == "PORT" else w for w in command]
        first = self.start(command, [s], **kw)
        answer = self.get(port_of(s))
        first.kill()
        first.wait()
        answers = []
        asker = threading.Thread(target=lambda: answers.append(self.get(port_of(s))))
        asker.start()
        self.start(command, [s], **kw)
        asker.join(60 * SLOW)
        self.assertEqual(answers, [answer])
        return answer


class Programs(Shim):
    def test_python_http_server(self):
        self.serve_twice([PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "PORT"])

    def test_for_all_addresses(self):
        self.serve_twice([PYTHON, "-m", "http.server", "PORT"], host="::")

    def test_through_a_shell(self):
        self.serve_twice(["sh", "-c", 'exec "$0" -m http.server --bind 127.0.0.1 "$1"', PYTHON, "PORT"])

    @unittest.skipUnless(shutil.which("node"), "needs node")
    def test_node(self):
        self.assertEqual(self.serve_twice([shutil.which("node"), "-e", "require('http').createServer((q, r) => r.end('node'))"
                                           ".listen(+process.argv[1])", "PORT"], host="::"), b"node")

    @unittest.skipUnless(shutil.which("perl"), "needs perl")
    def test_perl(self):
        code = ("use IO::Socket::INET; $s = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 5, ReuseAddr => 1) or die $!;"
                'while ($c = $s->accept) { while (<$c>) { last if /^\\r?$/ } print $c "HTTP/1.0 200 OK\\r\\n\\r\\nperl"; close $c }')
        self.assertEqual(self.serve_twice([shutil.which("perl"), "-e", code, "PORT"], host="0.0.0.0"), b"perl")

    @unittest.skipUnless(shutil.which("ruby"), "needs ruby")
    def test_ruby(self):
        code = ('require "socket"; s = TCPServer.new("127.0.0.1", ARGV[0].to_i); loop { c = s.accept; '
                'while (l = c.gets) && l != "\\r\\n"; end; c.write "HTTP/1.0 200 OK\\r\\n\\r\\nruby"; c.close }')
        self.assertEqual(self.serve_twice([shutil.which("ruby"), "-e", code, "PORT"]), b"ruby")

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_as_another_user(self):
        script = os.path.join(self.folder, "who.pl")
        with open(script, "w") as f:
            f.write("use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], "
                    'Listen => 5) or die $!; $c = $s->accept; <$c>; print $c "HTTP/1.0 200 OK\\r\\n\\r\\n$<"; close $c')
        os.chmod(script, 0o644)
        s = self.listener()
        self.start(["perl", script, port_of(s)], [s], user=NOBODY, group=NOBODY, extra_groups=[])
        self.assertEqual(self.get(port_of(s)), str(NOBODY).encode())


class Calls(Shim):
    def test_the_socket_is_the_given_one(self):
        s = self.listener()
        self.assertEqual(self.python("""
            s = tcp()
            s.bind(("127.0.0.1", PORT))
            assert listens(s)
            s.listen(5)
            print(cookie(s).hex(), s.getsockname()[1] == PORT)
            """, [s]), s.getsockopt(socket.SOL_SOCKET, 57, 8).hex() + " True")

    def test_a_second_bind(self):
        self.python("""
            a, b, c = tcp(), tcp(), tcp()
            a.bind(("127.0.0.1", PORT))
            assert bind_error(b, "127.0.0.1", PORT) == errno.EADDRINUSE
            assert not listens(b)
            assert bind_error(a, "127.0.0.1", PORT) == errno.EINVAL
            d = a.dup()
            a.close()
            assert bind_error(b, "127.0.0.1", PORT) == errno.EADDRINUSE
            pid = os.fork()
            if pid == 0:
                os._exit(bind_error(b, "127.0.0.1", PORT) != errno.EADDRINUSE)
            assert os.waitpid(pid, 0)[1] == 0
            d.close()
            assert bind_error(b, "127.0.0.1", PORT) == 0
            c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            assert bind_error(c, "127.0.0.1", PORT) == 0
            assert cookie(b) == cookie(c)
            """, [self.listener()])

    def test_others_are_untouched(self):
        given = self.listener()
        self.python("""
            given = socket.socket(fileno=int(sys.argv[2]))
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            u.bind(("127.0.0.1", PORT))
            s = tcp()
            s.bind(("127.0.0.1", 0))
            assert s.getsockname()[1] != PORT and not listens(s)
            s.listen(5)
            c = tcp()
            c.connect(s.getsockname())
            a = s.accept()[0]
            a.shutdown(socket.SHUT_RDWR)
            assert c.recv(1) == b""
            x = tcp()
            x.bind(("127.0.0.2", PORT))
            assert not listens(x) and cookie(x) != cookie(given)
            path = socket.socket(socket.AF_UNIX)
            path.bind("\\0pm-adopt-%d" % os.getpid())
            assert bind_error(tcp(socket.AF_INET6), "::1", PORT) == 0
            """, [given], given.fileno())

    def test_shutdown_ends_nothing(self):
        s = self.listener()
        self.python("""
            s = tcp()
            s.bind(("127.0.0.1", PORT))
            s.listen()
            s.shutdown(socket.SHUT_RDWR)
            assert listens(s)
            s.close()
            """, [s])
        with socket.create_connection(("127.0.0.1", port_of(s)), timeout=20):
            wait_until(lambda: self.accepts(s), what="a connection")

    def accepts(self, s):
        try:
            s.accept()[0].close()
            return True
        except BlockingIOError:
            return False

    def test_backlog_only_grows(self):
        s = self.listener(backlog=100)
        for backlog, expected in (("5", 100), ("200", 200), ("0", 200), ("-1", 200)):
            self.python("""
                s = tcp()
                s.bind(("127.0.0.1", PORT))
                s.listen(int(sys.argv[2]))
                """, [s], backlog)
            self.assertEqual(queue_length(s), expected)

    def test_flags_are_the_programs(self):
        for nonblock in (0, 1):
            for cloexec in (0, 1):
                self.python("""
                    s = tcp()
                    s.setblocking(sys.argv[2] == "0")
                    os.set_inheritable(s.fileno(), sys.argv[3] == "0")
                    s.bind(("127.0.0.1", PORT))
                    assert bool(fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK) == (sys.argv[2] == "1")
                    assert bool(fcntl.fcntl(s, fcntl.F_GETFD) & 1) == (sys.argv[3] == "1")
                    """, [self.listener()], nonblock, cloexec)

    def test_options(self):
        s = self.listener()
        self.python("""
            s = tcp()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", PORT))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            """, [s])
        self.assertTrue(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
        self.assertTrue(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))

    def test_a_source_port(self):
        other = self.listener()
        s = self.listener()
        self.python("""
            s = tcp()
            s.settimeout(20)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind(("127.0.0.1", PORT))
            s.connect(("127.0.0.1", int(sys.argv[2])))
            assert s.getsockname()[1] == PORT and not listens(s)
            """, [s], port_of(other))
        self.assertTrue(self.accepts(other))

    def test_threads(self):
        self.python("""
            gate, results = threading.Barrier(16), []
            keep = [tcp() for _ in range(16)]
            def one(s):
                gate.wait()
                results.append(bind_error(s, "127.0.0.1", PORT))
            threads = [threading.Thread(target=one, args=(s,)) for s in keep]
            [t.start() for t in threads]
            [t.join() for t in threads]
            assert sorted(results) == [0] + 15 * [errno.EADDRINUSE], results
            """, [self.listener()])

    def test_families(self):
        for host, wanted, family in (("::", "0.0.0.0", "AF_INET"), ("0.0.0.0", "::", "AF_INET6"), ("::1", "::1", "AF_INET6"),
                                     ("127.0.0.1", "0.0.0.0", "AF_INET"), ("0.0.0.0", "127.0.0.1", "AF_INET")):
            self.python("""
                s = tcp(getattr(socket, sys.argv[3]))
                s.bind((sys.argv[2], PORT))
                assert listens(s)
                """, [self.listener(host)], wanted, family)

    def test_ipv4_and_ipv6_apart(self):
        v4 = self.listener("0.0.0.0")
        v6 = self.listener("::", port_of(v4), v6only=True)
        for first, second in ((v4, v6), (v6, v4)):
            out = self.python("""
                a, b = tcp(), tcp(socket.AF_INET6)
                b.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                b.bind(("::", PORT))
                a.bind(("0.0.0.0", PORT))
                print(cookie(a).hex(), cookie(b).hex())
                """, [first, second])
            self.assertEqual(out.split(), [s.getsockopt(socket.SOL_SOCKET, 57, 8).hex() for s in (v4, v6)])


class NotAsExpected(Shim):
    """The real bind: the address is in use, as the test has it."""

    REAL = 'assert bind_error(tcp(), "127.0.0.1", PORT) == errno.EADDRINUSE'

    def test_what_is_said_is_not_true(self):
        s, other = self.listener(), self.listener()
        plain = socket.socket()
        self.sockets.append(plain)
        address = "127.0.0.1:%d" % port_of(s)
        for said in ("", "x", "%d" % s.fileno(), "%d=" % s.fileno(), "%d=%s" % (other.fileno(), address), "99999=" + address,
                     "-1=" + address, "0=" + address, "%d=%s" % (plain.fileno(), address), ";;=;=:;", "%d=0.0.0.0:%d" % (
                         s.fileno(), port_of(s)), "%d=%sx" % (s.fileno(), address), "1" * 400):
            self.python(self.REAL, [s, other, plain], said=said)

    def test_the_descriptor_is_another_thing_now(self):
        s = self.listener()
        for change in ("os.close(fd)", "t = tcp(); os.dup2(t.fileno(), fd)", 'os.dup2(os.open("/dev/null", 0), fd)'):
            self.python("fd = int(sys.argv[2])\n%s\n%s" % (change, self.REAL), [s], s.fileno())

    def test_many_are_borne(self):
        s = self.listener()
        self.python('assert bind_error(tcp(), "127.0.0.1", PORT) == 0', [s], said=";".join(
            "%d=127.0.0.1:%d" % (s.fileno(), port_of(s)) for _ in range(1000)))


if __name__ == "__main__":
    unittest.main()
