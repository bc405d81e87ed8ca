"""The load client (tests/children/load.c) as an object: starts it, asks it how far it is, and looks at what it counted."""

import json
import select
import subprocess

from harness import SLOW, child, wait_until


class Load:
    """Requests from now on until finish(). `where` is a port or "unix:PATH". `any_body`: for servers that answer anything."""

    def __init__(self, case, where, keepalive=False, connections=8, rate=0, any_body=False, timeout_ms=10000, path="/"):
        words = child("load", "-c", connections, "-r", rate, "-t", int(timeout_ms * SLOW), "-p", path)
        words += ["-k"] if keepalive else []
        words += ["-a"] if any_body else []
        self.case, self.what = case, "keep-alive" if keepalive else "a connection per request"
        self.process = subprocess.Popen([*words, str(where)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        case.addCleanup(self.kill)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def read(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 30 * SLOW)
        self.case.assertTrue(ready, "the load client says nothing")
        return json.loads(self.process.stdout.readline())

    def now(self):
        """The counters so far."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.read()

    def wait_more(self, count=20, timeout=20):
        """Until so many more requests were answered than now."""
        begin = self.now()["ok"]
        wait_until(lambda: self.now()["ok"] >= begin + count, timeout, lambda: "load flows: %s" % self.now())
        return self

    def finish(self):
        """No new requests; what is under way is waited for. Returns the counters."""
        self.process.stdin.close()
        result = self.read()
        self.process.wait()
        return result

    def none_failed(self):
        """finish(), and no request failed."""
        result = self.finish()
        self.case.assertEqual(result["failed"], 0, "%s: %d of %d requests failed: %s\n%s" % (
            self.what, result["failed"], result["ok"] + result["failed"],
            {k: v for k, v in result["failures"].items() if v}, "\n".join(result["notes"])))
        self.case.assertGreater(result["ok"], 0, self.what)
        return result


def both(case, where, **kw):
    """A connection per request, and keep-alive, at the same time; both flow."""
    loads = [Load(case, where, keepalive, **kw) for keepalive in (False, True)]
    for load in loads:
        load.wait_more()
    return loads
