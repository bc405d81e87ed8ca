"""Questions to the stored lines: time, patterns, context, level, runs, order, pace."""

import os
import sqlite3

from harness import PmTest, RpcError, child, main, wait_until

BASE = 1700000000 * 1000000


class Filled(PmTest):
    """A logs.db that was filled while no daemon runs; the app's process id is 0."""

    def fill(self, streams, rows):
        """streams: (id, run, kind, instance); rows: (stream, time, flags, text), in the order of their ids."""
        quiet = self.home.file("quiet.sh", "exec sleep 1000\n")
        self.home.start("api", quiet)
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.home.first_engine = None
        db = sqlite3.connect(os.path.join(self.home.path, "logs.db"))
        db.execute("DELETE FROM line")
        db.execute("DELETE FROM batch")
        db.execute("DELETE FROM stream")
        last = {}
        for i, (stream, at, flags, text) in enumerate(rows, 1):
            db.execute("INSERT INTO line VALUES (?,?,?,?,?)", (i, stream, BASE + at, flags, text))
            last.setdefault((stream, i // 4096), []).append((i, BASE + at, len(text)))
        for (stream, _), of in sorted(last.items()):
            db.execute("INSERT INTO batch VALUES (?,?,?,?,?,?,?)",
                       (stream, of[0][0], of[-1][0], min(o[1] for o in of), max(o[1] for o in of), len(of), sum(o[2] for o in of)))
        for ident, run, kind, instance in streams:
            of = [i for i, r in enumerate(rows, 1) if r[0] == ident]
            db.execute("INSERT INTO stream VALUES (?,?,?,0,?,'api','x',0,0,?)", (ident, run, kind, instance, of[-1] if of else 0))
        db.commit()
        db.close()
        self.home.start("api", quiet)

    def ask(self, **params):
        with self.home.client() as c:
            return c.call("logs", dict({"selectors": []}, **params))

    def texts(self, **params):
        return [l["text"] for l in self.ask(**params)["lines"]]

    def few(self):
        self.fill([(1, 101, 1, 0), (2, 101, 2, 0), (3, 102, 1, 1)],
                  [(1, 10, 0x30, b"a0"), (2, 10, 0x50, b"e0"), (3, 5, 0, b"early"), (1, 20, 0, b"a1 Foo"), (3, 20, 0x60, b"b1 foo bar"),
                   (1, 30, 0, b"a2"), (1, 40, 0, b"a3"), (1, 50, 0, b"a4 foo"), (2, 60, 0x40, b"e1")])

    def test_order_and_limits(self):
        self.few()
        every = ["early", "a0", "e0", "a1 Foo", "b1 foo bar", "a2", "a3", "a4 foo", "e1"]
        self.assertEqual(self.texts(since=0), every)
        self.assertEqual(self.texts(since=0, reverse=True), every[::-1])
        self.assertEqual(self.texts(since=BASE + 10, until=BASE + 30), every[1:5])
        self.assertEqual(self.texts(since=0, lines=3), every[-3:])
        self.assertEqual(self.texts(since=0, lines=3, reverse=True), every[:-4:-1])
        self.assertEqual(self.texts(run=102), ["early", "b1 foo bar"])
        self.assertEqual(self.texts(run="last"), ["early", "b1 foo bar"])
        self.assertEqual(self.texts(since=0, instance=1, out=True), ["early", "b1 foo bar"])
        self.assertEqual(self.texts(since=0, err=True), ["e0", "e1"])
        self.assertEqual(self.texts(level="error"), ["e0", "b1 foo bar"])
        self.assertEqual(self.ask(count=True), {"lines": [], "matched": 9})

    def test_view(self):
        self.few()
        db = sqlite3.connect("file:%s?mode=ro" % os.path.join(self.home.path, "logs.db"), uri=True)
        rows = db.execute("SELECT time, app, instance, run, stream, line, level FROM log ORDER BY time LIMIT 3").fetchall()
        db.close()
        self.assertEqual(rows[0], ("2023-11-14T22:13:20.000005Z", "api", 1, 102, "out", "early", None))
        self.assertEqual([r[6] for r in rows], [None, "info", "error"])

    def test_grep_and_context(self):
        self.few()
        self.assertEqual(self.texts(grep=["foo"]), ["b1 foo bar", "a4 foo"])
        self.assertEqual(self.texts(grep=["FOO"], ignore_case=True), ["a1 Foo", "b1 foo bar", "a4 foo"])
        self.assertEqual(self.texts(grep=["foo", "bar"]), ["b1 foo bar"])
        self.assertEqual(self.ask(grep=["o"], invert=True, count=True)["matched"], 6)
        self.assertEqual(self.texts(grep=["foo"], lines=1), ["a4 foo"])
        for extra in ({}, {"lines": 2}):
            lines = self.ask(grep=["b1|e1"], before=1, after=1, **extra)["lines"]
            self.assertEqual([(l["text"], l.get("context", False), l.get("gap", False)) for l in lines],
                             [("a1 Foo", True, False), ("b1 foo bar", False, False), ("a2", True, False), ("a4 foo", True, True), ("e1", False, False)])
        self.assertEqual(self.texts(grep=["b1"], before=2, after=1, reverse=True), ["a2", "b1 foo bar", "a1 Foo", "e0"])

    def test_bad_questions(self):
        self.few()
        for params, word in (({"grep": ["ok", "a(b"]}, 'pattern 2, "a(b": missing closing parenthesis at position 4'),
                             ({"grep": ["x"] * 17}, "at most 16"), ({"grep": ["x" * 1025]}, "longer than 1024"), ({"level": "loud"}, "loud"),
                             ({"run": "first"}, "last"), ({"invert": True}, "no pattern"), ({"since": 5, "until": 5}, "later than since"),
                             ({"follow": True, "count": True}, "count")):
            with self.assertRaises(RpcError) as e:
                self.ask(**params)
            self.assertIn(word, str(e.exception))

    def test_hostile_pattern(self):
        self.fill([(1, 101, 1, 0)], [(1, i, 0, b"a" * 5000 + b"b") for i in range(50)])
        with self.assertRaises(RpcError) as e:
            self.ask(grep=["^(a+)+$"])
        self.assertIn("too much work", str(e.exception))
        self.assertEqual(len(self.texts(lines=3)), 3)

    def test_streamed_with_a_slow_reader_and_deletion(self):
        self.fill([(1, 101, 1, 0), (2, 101, 2, 0)], [(1 + i % 2, i, 0, b"%08d " % i + b"x" * 400) for i in range(40000)])
        with self.home.client() as c:
            ident = c.send("logs", {"selectors": [], "since": 0, "stream": True})
            self.assertEqual(self.texts(lines=1)[0][:8], "00039999")   # nobody waits for it
            got = []
            while ident not in c.replies:
                m = c.recv()
                if "method" in m:
                    self.assertTrue(m["params"]["history"])
                    got += [l["row"] for l in m["params"]["lines"]]
                else:
                    c.replies[m["id"]] = m
            self.assertEqual(got, list(range(1, 40001)))
            self.assertEqual(c.reply(ident)["result"], {"lines": [], "matched": 40000})
            ident = c.send("logs", {"selectors": [], "since": 0, "stream": True})
            c.notification()
            self.home.ok("flush")
            message = c.reply(ident)
            self.assertIn("result", message)
            self.assertLess(message["result"]["matched"], 40001)
            self.assertEqual(self.texts(since=0), [])

    def test_gone_client(self):
        self.fill([(1, 101, 1, 0)], [(1, i, 0, b"x" * 400) for i in range(40000)])
        for _ in range(6):
            with self.home.client() as c:
                c.send("logs", {"selectors": [], "since": 0, "stream": True})
                c.notification()
        self.assertEqual(self.ask(count=True)["matched"], 40000)


class Live(PmTest):
    def test_follow_joins_and_filters(self):
        self.home.start("a", child("echo_stdin"))
        for i in range(4):
            self.home.ok("send", "a", "n%d" % i)
        self.home.wait_log("a", "n3")
        with self.home.client() as c:
            first = c.call("logs", {"selectors": ["a"], "follow": True, "grep": ["n[135]"], "after": 1})
            self.assertEqual([l["text"] for l in first["lines"]], ["got: n1", "got: n2", "got: n3"])
            for i in range(4, 8):
                self.home.ok("send", "a", "n%d" % i)
            got = []
            while len(got) < 3:
                got += c.notification()["params"]["lines"]
            self.assertEqual([(l["text"], l.get("context", False)) for l in got], [("got: n4", True), ("got: n5", False), ("got: n6", True)])

    def test_database_set_aside_while_reading(self):
        self.home.start("a", child("echo_stdin"))
        self.home.ok("send", "a", "one")
        self.home.wait_log("a", "one")
        os.unlink(os.path.join(self.home.path, "logs.db"))
        self.home.ok("send", "a", "two")
        def texts():
            try:
                return [l["text"] for l in self.home.history("a")]
            except RpcError as e:  # between the two files it says so
                self.assertIn("cannot be opened now", str(e))
        wait_until(lambda: texts() == ["got: two"], what="the new database")
        with self.home.client() as c:
            self.assertEqual(c.call("logs", {"selectors": ["a"], "since": 0, "count": True})["matched"], 1)


if __name__ == "__main__":
    main()
