"""`listen` with `adopt`: unmodified programs on sockets that the daemon keeps."""

import http.client
import os
import shutil
import signal
import socket
import sys
import threading
import unittest

from harness import IS_ROOT, NOBODY, PmTest, SLOW, free_port, proc_environ, send_signal, wait_dead, wait_until

PYTHON = os.path.realpath(sys.executable)
THREADED = """
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d" % os.getpid())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H).serve_forever()
"""


def get(port, host="127.0.0.1"):
    c = http.client.HTTPConnection(host, port, timeout=30 * SLOW)
    try:
        c.request("GET", "/")
        return c.getresponse().read()
    finally:
        c.close()


class Asker(threading.Thread):
    """Asks one after the other until it is told to end. A refused connection is an error; one that the end of a program cut is
    not: only a graceful program can do without."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.answers = []
        self.refused = []
        self.enough = threading.Event()
        self.start()

    def run(self):
        while not self.enough.is_set():
            try:
                self.answers.append(get(self.port))
            except ConnectionRefusedError as e:
                self.refused.append(e)
            except (http.client.HTTPException, ConnectionError):
                pass

    def end(self):
        self.enough.set()
        self.join()


class Adopt(PmTest):
    def app(self, port, **kw):
        app = {"name": "web", "script": self.home.file("server.py", THREADED), "interpreter": PYTHON,
               "args": ["127.0.0.1", str(port)], "listen": [{"tcp": "127.0.0.1:%d" % port, "adopt": True}]}
        app.update(kw)
        return {k: v for k, v in app.items() if v is not None}

    def test_http_server(self):
        port = free_port()
        self.home.start_apps([self.app(port, script=PYTHON, interpreter="none", args=["-m", "http.server", str(port)],
                                       listen=[{"tcp": port, "adopt": True}])])
        self.assertIn(b"Directory listing", get(port))

    @unittest.skipUnless(shutil.which("node"), "needs node")
    def test_node_in_fork_mode(self):
        port = free_port()
        script = self.home.file("app.js", "require('http').createServer((q, r) => r.end('' + process.pid)).listen(%d)" % port)
        self.home.start_apps([self.app(port, script=script, interpreter=None, args=None, exec_mode="fork",
                                       listen=[{"tcp": port, "adopt": True}])])
        self.assertEqual(int(get(port)), self.home.pid("web"))

    @unittest.skipUnless(shutil.which("perl"), "needs perl")
    def test_perl(self):
        port = free_port()
        script = self.home.file("app.pl", "use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort "
                                "=> $ARGV[0], Listen => 5) or die $!; while ($c = $s->accept) { <$c>; print $c "
                                '"HTTP/1.0 200 OK\\r\\n\\r\\n$$"; close $c }')
        self.home.start_apps([self.app(port, script=script, interpreter="perl", args=[str(port)])])
        self.assertEqual(int(get(port)), self.home.pid("web"))

    def test_restart_refuses_nobody(self):
        port = free_port()
        self.home.start_apps([self.app(port)])
        first = int(get(port))
        asker = Asker(port)
        try:
            for _ in range(3):
                self.home.ok("restart", "web")
            last = self.home.pid("web")
            wait_until(lambda: b"%d" % last in asker.answers, what="an answer of the last run")
        finally:
            asker.end()
        self.assertNotEqual(first, last)
        self.assertEqual(asker.refused, [])

    def test_crash_refuses_nobody(self):
        port = free_port()
        self.home.start_apps([self.app(port)])
        send_signal(int(get(port)), signal.SIGKILL)
        wait_until(lambda: self.home.pid("web") and self.home.restarts("web") == 1, what="the next run")
        self.assertEqual(int(get(port)), self.home.pid("web"))

    def test_two_instances_on_one_port(self):
        port = free_port()
        self.home.start_apps([self.app(port, instances=2)])
        pids = {p["pid"] for p in self.home.procs("web")}
        self.assertEqual(len(pids), 2)
        seen = set()
        wait_until(lambda: seen.add(int(get(port))) or seen == pids, what="both answer")

    def test_engine_killed(self):
        port = free_port()
        self.home.start_apps([self.app(port)])
        pid = int(get(port))
        engine = self.home.engine_pid()
        self.home.engine_may_die = True
        os.kill(engine, signal.SIGKILL)
        wait_dead(engine)
        self.assertEqual(int(get(port)), pid)
        self.home.client_when_ready().close()
        send_signal(pid, signal.SIGKILL)
        wait_until(lambda: self.home.pid("web") not in (0, None, pid), what="the next run")
        self.assertEqual(int(get(port)), self.home.pid("web"))

    def test_update_refuses_nobody(self):
        port = free_port()
        self.home.start_apps([self.app(port)])
        pid = int(get(port))
        asker = Asker(port)
        try:
            self.home.engine_may_die = True
            self.home.ok("update")
            self.home.ok("restart", "web")
            now = self.home.pid("web")
            wait_until(lambda: b"%d" % now in asker.answers, what="an answer of the new run")
        finally:
            asker.end()
        self.assertNotEqual(now, pid)
        self.assertEqual(asker.refused, [])

    def test_a_stop_gives_the_port_back(self):
        port = free_port()
        self.home.start_apps([self.app(port)])
        self.home.ok("stop", "web")
        def refused():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) != 0
        wait_until(refused, what="the port is closed")
        self.home.ok("start", "web")
        self.assertEqual(int(get(port)), self.home.pid("web"))

    def test_own_preload_is_kept(self):
        port = free_port()
        self.home.start_apps([self.app(port, env={"LD_PRELOAD": "/no/such/library.so"})])
        pid = int(get(port))
        preload = [v for v in proc_environ(pid) if v.startswith(b"LD_PRELOAD=")]
        self.assertEqual(len(preload), 1)
        self.assertRegex(preload[0], rb"=/.*/libpm-adopt\.so:/no/such/library\.so$")
        self.assertIn(b"PM_ADOPT=3=127.0.0.1:%d" % port, proc_environ(pid))

    @unittest.skipUnless(IS_ROOT and shutil.which("perl"), "needs root and perl")
    def test_as_another_user(self):
        port = free_port()
        script = self.home.file("who.pl", "use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort "
                                "=> $ARGV[0], Listen => 5) or die $!; while ($c = $s->accept) { <$c>; print $c "
                                '"HTTP/1.0 200 OK\\r\\n\\r\\n$<"; close $c }')
        self.home.start_apps([self.app(port, script=script, interpreter="perl", args=[str(port)], uid=str(NOBODY),
                                       gid=str(NOBODY))])
        self.assertEqual(int(get(port)), NOBODY)


class Refused(PmTest):
    """With a word, before anything is started."""

    def refused(self, word, **app):
        result = self.home.start_apps([dict({"name": "web", "listen": [{"tcp": free_port(), "adopt": True}]}, **app)], expect=1)
        self.assertIn(word, result.out + result.err)

    def build(self, name, *flags):
        source = self.home.file(name + ".c", "int main(void) { return 0; }")
        path = os.path.join(self.home.work, name)
        if not shutil.which("cc") or os.system("cc %s -o %s %s 2>/dev/null" % (" ".join(flags), path, source)):
            self.skipTest("no compiler that can build " + name)
        return path

    def test_library_missing(self):
        bin_dir = os.path.join(self.home.tmp, "bin")
        shutil.copytree(self.home.bin_dir, bin_dir)
        self.home.bin_dir = bin_dir
        self.refused("the library for adopt is missing", script="/bin/sleep", args=["60"], interpreter="none")

    def test_static(self):
        path = self.build("static", "-static")
        self.refused("it is a static program", script=path, interpreter="none")

    def test_go(self):
        path = self.build("go")
        note = self.home.file("note.bin", b"\xff Go buildinf:")
        if not shutil.which("objcopy") or os.system("objcopy --add-section .go.buildinfo=%s %s" % (note, path)):
            self.skipTest("needs objcopy")
        self.refused("it is a Go program", script=path, interpreter="none")

    def test_setuid_interpreter(self):
        path = self.build("suid")
        os.chmod(path, 0o4755)
        self.refused("it is a setuid program", script=self.home.file("a.sh", "#!%s\n" % path), interpreter="none")


if __name__ == "__main__":
    unittest.main()
