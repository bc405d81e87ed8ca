"""A threaded server of the standard library that takes its socket by LISTEN_FDS, says when it is ready, and ends gracefully.

What is in the file "mode" makes it a bad version.
"""

import http.server
import os
import signal
import socket
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "version")) as f:
    VERSION = f.read().strip()
with open(os.path.join(HERE, "mode")) as f:
    MODE = f.read().strip()
if MODE == "throw":
    raise ImportError("cannot find the new library")
draining = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 2  # an idle connection is not kept for longer

    def do_GET(self):
        body = b"%d %s\n" % (os.getpid(), VERSION.encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if draining.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them

    def __init__(self, listening):
        super().__init__(listening.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.socket.setblocking(False)  # other processes accept from it too


def drain(*_):
    draining.set()
    threading.Thread(target=server.shutdown).start()


assert int(os.environ["LISTEN_PID"]) == os.getpid()
server = Server(socket.socket(fileno=3))
signal.signal(signal.SIGTERM, drain)
signal.signal(signal.SIGINT, drain)
if MODE != "unready":
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as note:
        note.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
server.serve_forever(poll_interval=0.05)
server.server_close()
