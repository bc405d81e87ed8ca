"""For gunicorn: `gunicorn wsgi:app`."""

import os

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "version")) as f:
    VERSION = f.read().strip()


def app(environ, start_response):
    body = b"%d %s\n" % (os.getpid(), VERSION.encode())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
