"""Web servers as users write them, and load on them, for the tests that count lost requests.

Each server answers "<version> <pid>" and reads its version from the file `version` beside it when it starts. The load is
made by tests/children/load.c, which counts what fails.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

from harness import BIN, SLOW, PmTest, child, free_port, wait_until

NODE = r"""
const http = require('http');
const version = require('fs').readFileSync(__dirname + '/version', 'utf8').trim();
if (version === 'throws')
    throw new Error('the new version is broken');
const port = version === 'elsewhere' ? process.env.PORT2 : process.env.PORT;
const server = http.createServer((req, res) => res.end(version + ' ' + process.pid + '\n'));
if (version === 'mute')
    setInterval(() => {}, 1000);
else
    server.listen(port, '127.0.0.1', () => {
        if (version !== 'unready')
            process.send('ready');
    });
"""

# A server with threads, keep-alive and a graceful end: what was asked is answered, and said to be the last.
PYTHON = r"""
import os, signal, socket, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "version")) as f:
    version = f.read().strip()
if version == "throws":
    raise RuntimeError("the new version is broken")
ending = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 2

    def do_GET(self):
        body = b"%s %d\n" % (version.encode(), os.getpid())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if ending.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True


server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)  # the first of LISTEN_FDS
server.socket.setblocking(False)  # it is shared: another process may be faster to accept


def end(*args):
    ending.set()
    threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)


def tell_ready():
    path = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)


if version != "unready":
    tell_ready()
server.serve_forever(poll_interval=0.05)
server.server_close()
"""

WSGI = r"""
import os

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "version")) as f:
    version = f.read().strip()


def app(environ, start_response):
    body = b"%s %d\n" % (version.encode(), os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Load:
    """A running load client. `rate` is requests per second; None: as many as come through."""

    def __init__(self, case, port, mode, connections=8, rate=None, seconds=None):
        args = ["-m", mode, "-c", connections, "-t", 10 * SLOW]
        args += ["-r", rate] if rate else []
        args += ["-d", seconds] if seconds else []
        self.case, self.mode = case, mode
        self.process = subprocess.Popen(child("load", *args, "127.0.0.1:%d" % port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self.kill)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def wait_flowing(self):
        self.case.assertEqual(self.process.stdout.readline(), "flowing\n")
        return self

    def counts(self):
        """What was counted so far."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait_more(self, more=50):
        """Waits until so many more requests were answered."""
        begin = self.counts()["ok"]
        wait_until(lambda: self.counts()["ok"] >= begin + more, what="%d more answers" % more)

    def end(self):
        """Ends it and returns the counts."""
        out, _ = self.process.communicate()  # which closes stdin
        return json.loads(out.splitlines()[-1])

    def assertNoneLost(self, counts=None):
        counts = counts or self.end()
        if counts["failed"]:
            first = counts.pop("first_failures")
            self.case.fail("lost requests: %s\nthe first:\n%s" % (counts, "\n".join(map(str, first))))
        return counts


class LoadCase(PmTest):
    """One app named web, on self.port."""

    limit = 150

    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.version("v0")

    def version(self, text):
        self.home.file("version", text, 0o644)

    def node(self, instances, **keys):
        return dict({"name": "web", "script": self.home.file("app.js", NODE), "exec_mode": "cluster", "instances": instances,
                     "kill_timeout": 10000, "env": {"PORT": str(self.port), "PORT2": str(free_port())}}, **keys)

    def python(self, instances, **keys):
        return dict({"name": "web", "script": self.home.file("server.py", PYTHON), "interpreter": sys.executable, "instances": instances,
                     "listen": "127.0.0.1:%d" % self.port, "wait_ready": True, "kill_timeout": 10000, "listen_timeout": 20000}, **keys)

    def gunicorn(self, workers, **keys):
        """One instance, which forks its workers."""
        self.home.file("wsgi.py", WSGI)
        return dict({"name": "web", "script": shutil.which("gunicorn"), "interpreter": "none", "args": "-w %d wsgi:app" % workers, "instances": 1,
                     "listen": "127.0.0.1:%d" % self.port, "stop_signal": "SIGTERM", "wait_ready": True,
                     "kill_timeout": 10000, "listen_timeout": 20000}, **keys)

    def start(self, app):
        """Starts it, and waits until it answers."""
        self.home.start_apps([app])
        self.ask()

    def ask(self):
        """(version, pid) of one answer."""
        def attempt():
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d/" % self.port, timeout=10 * SLOW) as r:
                    return r.read().decode().split()
            except (ConnectionError, urllib.error.URLError):
                return None
        version, pid = wait_until(attempt, what="an answer on port %d" % self.port)
        return version, int(pid)

    def pids(self):
        return [p["pid"] for p in self.home.procs("web")]

    def loads(self, connections=8, rate=None):
        """Both kinds of clients at the same time; both get answers."""
        loads = [Load(self, self.port, mode, connections, rate) for mode in ("close", "keepalive")]
        return [load.wait_flowing() for load in loads]

    def assertNoneLost(self, loads):
        counts = [load.end() for load in loads]
        return [load.assertNoneLost(c) for load, c in zip(loads, counts)]


class Updatable(LoadCase):
    """With a pmd of its own, which can be installed anew."""

    def setUp(self):
        super().setUp()
        self.home.engine_may_die = True
        self.home.bin_dir = os.path.join(self.home.tmp, "bin")
        os.mkdir(self.home.bin_dir)
        for name in ("pm", "pmd"):
            shutil.copy(os.path.join(BIN, name), self.home.bin_dir)

    def install(self):
        path = os.path.join(self.home.bin_dir, "pmd")
        shutil.copy(path, path + ".new")
        os.rename(path + ".new", path)
