"""A web server that is handed its socket: several instances of it share one port, and no connection is refused
while they are restarted. Started by hand, without a socket, it listens on port 3300 itself."""

import http.server
import os
import signal
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"instance {os.environ.get('NODE_APP_INSTANCE', '-')}, pid {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def listening_socket():
    # LISTEN_PID says whom the sockets are for: a child that inherits the variables is not meant.
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        return socket.socket(fileno=3)
    return socket.create_server(("127.0.0.1", 3300))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening_socket()
    print(f"serving on {server.socket.getsockname()}")
    server.serve_forever()


if __name__ == "__main__":
    main()
