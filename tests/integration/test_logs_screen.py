"""pm logs as a person sees it: the pager, and long answers in parts (from a stand-in for the daemon)."""

import json
import os
import signal
import socket
import threading

from harness import PmTest, child, main, read_file, wait_until
from test_screen import Screen as _Screen


class StandIn:
    """Answers one connection after another: hello, an empty list, and `logs` as it is told."""

    def __init__(self, home, answer):
        os.makedirs(home.path, exist_ok=True)
        self.answer = answer
        self.asked = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(os.path.join(home.path, "pm.sock"))
        self.sock.listen(4)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            with peer, peer.makefile("rwb") as f:
                try:
                    self.talk(f)
                except (OSError, ValueError):
                    pass  # the command went away

    def talk(self, f):
        for text in f:
            request = json.loads(text)
            if request["method"] == "logs":
                self.asked.append(request["params"])
                parts, reply = self.answer(request["params"])
            else:
                parts = []
                reply = {"result": [] if request["method"] == "list" else {"protocol": 1, "version": "test", "pid": os.getpid()}}
            for lines in parts:
                self.say(f, {"method": "log", "params": {"lines": lines, "history": True}})
            if reply is None:
                return
            self.say(f, dict({"id": request["id"]}, **reply))

    @staticmethod
    def say(f, message):
        f.write(json.dumps(dict({"jsonrpc": "2.0"}, **message)).encode() + b"\n")
        f.flush()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join()


def line(n, **more):
    return dict({"row": n, "time": 1767225600000000 + n, "id": 0, "name": "api", "instance": 0, "run": 1, "stream": "out",
                 "text": "line %d" % n}, **more)


class Parts(PmTest):
    def stand_in(self, answer):
        server = StandIn(self.home, answer)
        self.addCleanup(server.close)
        return server

    def test_parts_and_groups(self):
        parts = [[line(1, context=True), line(2)], [line(8, gap=True, level="error"), line(9, context=True)]]
        server = self.stand_in(lambda p: (parts, {"result": {"lines": [], "matched": 2}}))
        out = self.home.ok("logs", "api", "--grep", "x", "-C", "1", "--nostream", "--raw").out
        self.assertEqual(out, "line 1\nline 2\n--\nline 8\nline 9\n")
        self.assertEqual(server.asked[0], {"selectors": ["api"], "grep": ["x"], "before": 1, "after": 1, "follow": False, "stream": True})
        found = [json.loads(x) for x in self.home.ok("logs", "--grep", "x", "-C1", "--nostream", "--json").out.splitlines()]
        self.assertEqual([x.get("level") for x in found], [None, None, "error", None])
        self.assertEqual([x.get("context") for x in found], [True, None, None, True])

    def test_more_parts_than_a_call_keeps(self):
        self.stand_in(lambda p: ([[line(i)] for i in range(5000)], {"result": {"lines": [], "matched": 5000}}))
        out = self.home.ok("logs", "--since", "2h", "--nostream", "--raw").out
        self.assertEqual(out, "".join("line %d\n" % i for i in range(5000)))

    def test_count(self):
        self.stand_in(lambda p: ([], {"result": {"lines": [], "matched": 7}}))
        self.assertEqual(self.home.ok("logs", "--count").out, "7\n")
        self.assertEqual(self.home.ok("logs", "--count", "--json").out, '{"count":7}\n')

    def test_refusals(self):
        error = {}
        self.stand_in(lambda p: ([], {"error": error}))
        error.update(code=-32602, message="grep: missing ) at 3")
        self.assertEqual(self.home.fails(2, "logs", "--grep", "(", "--nostream").err, "[pm] error: grep: missing ) at 3\n")
        error.update(code=-32004, message="no process matches \"x\"")
        self.assertEqual(self.home.fails(1, "logs", "x", "--grep", "a").err, "[pm] error: no process matches \"x\"\n")

    def test_an_engine_that_dies_in_between(self):
        calls = []
        def answer(params):
            calls.append(params)
            return ([], None) if len(calls) == 1 else ([[line(1)]], {"result": {"lines": [], "matched": 1}})
        server = self.stand_in(answer)
        self.assertEqual(self.home.ok("logs", "--since", "2h", "--nostream", "--raw").out, "line 1\n")
        server.answer = lambda p: ([[line(1)]], None)
        self.assertIn("after 1 lines", self.home.fails(1, "logs", "--since", "2h", "--nostream", "--raw").err)

    def test_usage(self):
        self.stand_in(lambda p: ([], {"result": {"lines": [], "matched": 0}}))
        self.assertIn('--since: "foo" is not a time', self.home.fails(2, "logs", "--since", "foo").err)
        self.assertIn('unknown time zone "Mars/Base"', self.home.fails(2, "logs", "--tz", "Mars/Base").err)


class Search(PmTest):
    """The same with the daemon itself."""

    def setUp(self):
        super().setUp()
        self.home.start("a", child("echo_stdin"))
        self.home.ok("send", "a", "one")
        for text in ("two", "ERROR: three", "four", "five"):
            self.home.ok("send", "a", text)
        wait_until(lambda: "five" in str(self.home.history("a")), what="the rows")

    def found(self, *words):
        return self.home.ok("logs", "a", "--raw", "--nostream", *words).out.splitlines()

    def test_patterns_and_context(self):
        self.assertEqual(sum("three" in x for x in self.found("--grep", "THREE", "--ignore-case")), 1)
        self.assertEqual(self.found("--grep", "three", "--grep", "four"), [])
        around = self.found("--grep", "two|five", "-B", "0", "-A", "1")
        self.assertEqual(around.count("--"), 1)
        self.assertEqual(len(self.found("--grep", "three", "-C", "1")), 3)
        self.assertFalse(any("three" in x for x in self.found("--grep", "three", "--invert")))

    def test_long_names_of_context(self):
        after = self.found("--grep", "three", "--after", "1")
        self.assertEqual([x.split()[-1] for x in after], ["three", "four"])
        before = self.found("--grep", "three", "--before", "1")
        self.assertEqual([x.split()[-1] for x in before], ["two", "three"])
        self.assertEqual(self.found("--grep", "three", "--context", "1"), before + after[1:])

    def test_one_instance(self):
        self.home.start("two", child("echo_stdin"), "-i", "2")
        for process in self.home.procs("two"):
            self.home.ok("send", str(process["pm_id"]), "number %d" % process["pm2_env"]["NODE_APP_INSTANCE"])
        wait_until(lambda: str(self.home.history("two")).count("number") == 2, what="both lines")
        lines = self.home.ok("logs", "two", "--instance", "1", "--raw", "--nostream").out
        self.assertIn("number 1", lines)
        self.assertNotIn("number 0", lines)

    def test_zones(self):
        words = ("logs", "a", "--nostream", "--grep", "five", "--timestamp", "HH:mm Z")
        self.assertIn(" +00:00", self.home.ok(*words, "--utc").out)
        self.assertIn(" +09:00", self.home.ok(*words, "--tz", "Asia/Tokyo").out)

    def test_times_levels_and_counts(self):
        self.assertEqual(self.home.ok("logs", "a", "--until", "@1", "--count").out, "0\n")
        self.assertEqual(self.home.ok("logs", "a", "--since", "1h", "--grep", "t(wo|hree)", "--count").out, "2\n")
        newest = self.found("--reverse", "--lines", "2")
        self.assertEqual([x.split()[-1] for x in newest], ["five", "four"])
        run = self.home.why("a")["runs"][0]["run"]
        self.assertEqual(self.found("--run", run), self.found("--run", "last"))

    def test_refusals(self):
        self.assertEqual(len(self.home.fails(2, "logs", "--grep", "(", "--nostream").err.splitlines()), 1)
        self.assertEqual(len(self.home.fails(2, "logs", "--level", "loud", "--nostream").err.splitlines()), 1)
        self.assertEqual(len(self.home.fails(1, "logs", "nobody", "--grep", "x").err.splitlines()), 1)

    def test_a_filter_follows(self):
        path = os.path.join(self.home.work, "followed")
        with open(path, "w") as out:
            follow = self.home.popen("logs", "a", "--raw", "--grep", "two|live", stdout=out)
        wait_until(lambda: "two" in read_file(path), what="the history")
        for i in range(10):
            self.home.ok("send", "a", "%s %d" % ("live" if i % 2 else "dead", i))
        wait_until(lambda: "live 9" in read_file(path), what="the live lines")
        self.home.replace_engine()
        self.home.ok("send", "a", "dead again")
        self.home.ok("send", "a", "live again")
        wait_until(lambda: "live again" in read_file(path) or follow.poll() is not None, what="the line after a new engine")
        follow.send_signal(signal.SIGINT)
        self.assertEqual(self.home.finish(follow).code, 0)
        self.assertEqual([x.split("live ")[-1] for x in read_file(path).splitlines()[1:]], ["1", "3", "5", "7", "9", "again"])


class Pager(_Screen):
    def setUp(self):
        super().setUp()
        self.home.start("f", child("flood", 100))
        self.home.wait_log("f", "00000099 ")
        wait_until(lambda: len(self.home.history("f")) >= 100, what="the rows")

    def test_long_output_is_paged(self):
        out = self.screen("logs", "f", "--lines", "100", "--nostream", PAGER="sed 's/^/P:/'")
        self.assertGreaterEqual(out.count("P:"), 100)

    def test_short_output_is_not(self):
        self.assertNotIn("P:", self.screen("logs", "f", "--lines", "5", "--nostream", PAGER="sed 's/^/P:/'"))
        self.assertNotIn("P:", self.screen("logs", "f", "--lines", "100", "--nostream", "--no-pager", PAGER="sed 's/^/P:/'"))
        self.assertNotIn("P:", self.home.ok("logs", "f", "--lines", "100", "--nostream", env={"PAGER": "sed 's/^/P:/'"}).out)

    def test_a_pager_that_is_left_early(self):
        out = self.screen("logs", "f", "--lines", "100", "--nostream", PAGER="head -n 1")
        self.assertEqual(out.count("\n"), 1)

    def test_a_pager_that_is_not_there(self):
        self.assertIn("cannot be run", self.screen("logs", "f", "--lines", "100", "--nostream", code=1, PAGER="/no/such/pager"))


if __name__ == "__main__":
    main()
