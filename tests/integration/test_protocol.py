"""The socket: handshake, errors, limits, and what no client may do to the daemon."""

import json
import os
import socket

from harness import Closed, PmTest, RpcError, SLOW, child, main, open_files, raise_nofile, read_file, wait_until

HELLO = {"protocol": 1, "version": "test"}


def rss_bytes(pid):
    return int(read_file("/proc/%d/statm" % pid).split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Protocol(PmTest):
    def setUp(self):
        super().setUp()
        self.home.start("a", child("silent"))
        self.pid = self.home.pid("a")
        self.engine = self.home.engine_pid()
        self.addCleanup(self.unharmed)

    def unharmed(self):
        """After everything: the same engine, the same app, and an answer."""
        self.assertEqual(self.home.engine_pid(), self.engine)
        self.assertEqual(self.home.pid("a"), self.pid)

    def assertError(self, message, code):
        self.assertEqual(message.get("error", {}).get("code"), code, message)
        self.assertIsInstance(message["error"]["message"], str)
        self.assertEqual(message["jsonrpc"], "2.0")

    def error_of(self, client, method, params=None):
        with self.assertRaises(RpcError) as caught:
            client.call(method, params)
        return caught.exception


class Handshake(Protocol):
    def test_hello(self):
        with self.home.client() as c:
            self.assertEqual(c.info["protocol"], 1)
            self.assertEqual(c.info["pid"], self.engine)
            self.assertEqual(c.info["keeper_pid"], self.home.keeper_pid())
            self.assertEqual(c.info["home"], self.home.path)
            self.assertRegex(c.info["version"], r"^\d+\.\d+")
            self.assertGreater(c.info["started_at"], 1600000000000)
            self.assertEqual(c.call("ping"), {"msg": "pong"})
            self.assertEqual(c.call("ping", {}), {"msg": "pong"})

    def test_hello_comes_first(self):
        with self.home.client(hello=False) as c:
            for method, params in (("list", {}), ("process.stop", {"selectors": ["a"]}), ("why", {"selectors": ["a"]})):
                self.assertEqual(self.error_of(c, method, params).code, -32001)
            self.assertEqual(c.call("ping"), {"msg": "pong"})
            c.call("hello", HELLO)
            self.assertEqual(len(c.call("list")), 1)

    def test_another_protocol(self):
        for version in (0, 2, 999):
            with self.home.client(hello=False) as c:
                error = self.error_of(c, "hello", {"protocol": version, "version": "test"})
                self.assertEqual(error.code, -32001)
                self.assertTrue(error.message)
                self.assertEqual(c.call("ping"), {"msg": "pong"})
                self.assertEqual(self.error_of(c, "list").code, -32001)


class Requests(Protocol):
    def test_unknown_method(self):
        with self.home.client() as c:
            for method in ("nope", "", "list ", "LIST", "x" * 100000):
                self.assertEqual(self.error_of(c, method).code, -32601)

    def test_wrong_parameters(self):
        with self.home.client() as c:
            for method, params, word in (
                    ("process.stop", {}, "selectors"), ("process.stop", {"selectors": "a"}, "selectors"),
                    ("process.stop", {"selectors": [1]}, "selectors"), ("process.stop", {"selectors": ["a"], "extra": 1}, "extra"),
                    ("why", {"selectors": ["a"], "runs": 0}, "runs"), ("why", {"selectors": ["a"], "runs": "x"}, "runs"),
                    ("logs", {"selectors": ["a"], "lines": -1}, "lines"), ("logs", {"selectors": ["a"], "follow": 1}, "follow"),
                    ("list", {"full": "yes"}, "full"), ("env.set", {"env": []}, "env"), ("start", {"apps": {}}, "apps"),
                    ("process.send", {"selector": "a"}, "text")):
                error = self.error_of(c, method, params)
                self.assertEqual(error.code, -32602, (method, params))
                self.assertIn(word, error.message)
            self.assertError(c.raw_reply(b'{"jsonrpc":"2.0","id":1,"method":"list","params":[1]}\n'), -32602)

    def test_selectors(self):
        with self.home.client() as c:
            error = self.error_of(c, "describe", {"selectors": ["a", "nope"]})
            self.assertEqual(error.code, -32011)
            self.assertIn("nope", error.message)
            for selectors in ([""], ["99999999999999999999"], ["-1"], ["x" * 10000], ["0x0"], ["a\u0000b"]):
                try:
                    c.call("process.stop", {"selectors": selectors})
                    self.fail("%r matched" % selectors)
                except RpcError as e:
                    self.assertIn(e.code, (-32011, -32602, -32700))

    def test_start_validates_what_it_gets(self):
        good = {"name": "n", "script": child("silent")[0], "cwd": "/", "exec_interpreter": "none"}
        with self.home.client() as c:
            for change in ({"name": ""}, {"name": 5}, {"name": None}, {"script": None}, {"script": "relative"}, {"cwd": "relative"},
                           {"instances": -5000}, {"instances": 10 ** 9}, {"kill_timeout": -1}, {"kill_timeout": "soon"},
                           {"kill_timeout": 10 ** 30}, {"args": "text"}, {"args": [1]}, {"env": []}, {"env": {"A=B": "x"}},
                           {"env": {"A": 1}}, {"stop_signal": 0}, {"stop_signal": 999}, {"stop_exit_codes": ["x"]}, {"nonsense": 1},
                           {"max_restarts": -1}):
                app = dict(good, **change)
                app = {k: v for k, v in app.items() if v is not None}
                try:
                    c.send("start", {"apps": [app]})
                    message = c.recv()
                except Closed:
                    self.fail("closed after %r" % change)
                if "error" not in message:
                    # Accepted as it is, at most because the value has a meaning: then nothing strange may run.
                    self.fail("accepted: %r -> %r" % (change, message))
                self.assertIn(message["error"]["code"], (-32602, -32010, -32700), change)
            self.assertEqual(len(c.call("list")), 1)

    def test_one_bad_app_and_none_is_created(self):
        with self.home.client() as c:
            good = {"name": "good", "script": child("silent")[0], "cwd": "/", "exec_interpreter": "none"}
            self.error_of(c, "start", {"apps": [good, {"name": "bad"}]})
            self.assertEqual([p["name"] for p in c.call("list")], ["a"])

    def test_start_over_the_wire(self):
        with self.home.client() as c:
            c.call("env.set", {"env": {"BASE": "base", "BOTH": "base", "PATH": os.environ["PATH"]}})
            app = {"name": "w", "script": child("silent")[0], "cwd": "/", "exec_interpreter": "none", "env": {"BOTH": "own"}}
            outcome = c.call("start", {"apps": [app]})["processes"][0]
            self.assertTrue(outcome["ok"])
            self.assertEqual((outcome["name"], outcome["instance"], outcome["status"]), ("w", 0, "online"))
            environ = read_file("/proc/%d/environ" % outcome["pid"]).split("\0")
            self.assertIn("BASE=base", environ)
            self.assertIn("BOTH=own", environ)
            outcome = c.call("process.stop", {"selectors": ["w"]})["processes"][0]
            self.assertTrue(outcome["ok"])
            self.assertEqual(outcome["status"], "stopped")

    def test_requests_of_one_connection_do_not_wait_for_each_other(self):
        self.home.start_apps([{"name": "slow", "script": child("stubborn")[0], "kill_timeout": 2000}])
        with self.home.client() as c:
            stop = c.send("process.stop", {"selectors": ["slow"]})
            ping = c.send("ping")
            self.assertEqual(c.recv()["id"], ping)
            self.assertEqual(c.recv()["id"], stop)

    def test_pipelined(self):
        with self.home.client() as c:
            c.send_raw(b"".join(b'{"jsonrpc":"2.0","id":"r%d","method":"ping"}\n' % i for i in range(500)))
            self.assertEqual({c.recv()["id"] for _ in range(500)}, {"r%d" % i for i in range(500)})

    def test_byte_by_byte(self):
        with self.home.client() as c:
            for byte in b'{"jsonrpc":"2.0","id":77,"method":"ping"}\n':
                c.send_raw(bytes([byte]))
            self.assertEqual(c.recv()["id"], 77)


class Abuse(Protocol):
    def test_not_json(self):
        with self.home.client() as c:
            for line in (b"hello", b"{", b"[1,2", b"nul", b"'a'", b'{"a":1,}', b"\xff\xfe\x00\x01", b'{"jsonrpc":"2.0","id":1,"method":"\xc3\x28"}',
                         b'"\\ud800"x', b"GET / HTTP/1.1\r", b"}" * 1000):
                self.assertError(c.raw_reply(line + b"\n"), -32700)
            self.assertEqual(c.call("ping"), {"msg": "pong"})

    def test_not_a_request(self):
        with self.home.client() as c:
            for line in (b"[]", b"5", b'"text"', b"null", b"true", b"{}", b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
                         b'{"jsonrpc":"2.0","id":1}', b'{"jsonrpc":"2.0","id":1,"method":5}', b'{"jsonrpc":"2.0","id":{},"method":"ping"}'):
                message = c.raw_reply(line + b"\n")
                self.assertIn(message.get("error", {}).get("code"), (-32600, -32700), (line, message))
            self.assertEqual(c.call("ping"), {"msg": "pong"})

    def test_nested_too_deep(self):
        for depth in (33, 1000, 100000):
            for left, right in ((b"[", b"]"), (b'{"a":', b"}")):
                with self.home.client() as c:
                    c.send_raw(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + left * depth + b"1" + right * depth + b"}\n")
                    self.assertIn(c.recv()["error"]["code"], (-32600, -32700))

    def test_empty_lines(self):
        with self.home.client() as c:
            c.send_raw(b"\n\n\r\n  \n" * 100)
            c.send("ping")
            while "result" not in c.recv():
                pass

    def test_half_a_frame_and_gone(self):
        for _ in range(50):
            with self.home.client() as c:
                c.send_raw(b'{"jsonrpc":"2.0","id":1,"meth')
        with self.home.client() as c:
            c.send_raw(b'{"jsonrpc":"2.0","id":1,"method":"ping"')
            c.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(c.closed_by_peer())

    def test_gone_before_the_answer(self):
        for _ in range(50):
            c = self.home.client()
            c.send("list", {"full": True})
            c.send("why", {"selectors": ["all"]})
            c.send("logs", {"selectors": ["all"], "follow": True})
            c.close()

    def test_10_mb_frame(self):
        for piece in (b"x", b"[", b" ", b"\0", b'{"a":"'):
            with self.home.client() as c:
                try:
                    for _ in range(160):
                        c.send_raw(piece * (65536 // len(piece)))
                except OSError:
                    pass
                try:
                    self.assertError(c.recv(), -32600)
                except (Closed, OSError):
                    pass
                self.assertTrue(c.closed_by_peer())
        self.assertLess(rss_bytes(self.engine), 64e6 * (10 if SLOW > 1 else 1))

    def test_just_below_and_above_the_limit(self):
        def line(size):
            head, tail = b'{"jsonrpc":"2.0","id":1,"method":"', b'"}\n'
            return head + b"m" * (size - len(head) - len(tail)) + tail
        with self.home.client() as c:
            self.assertError(c.raw_reply(line(1 << 20)), -32601)
        with self.home.client() as c:
            c.send_raw(line((1 << 20) + 1000))
            self.assertError(c.recv(), -32600)
            self.assertTrue(c.closed_by_peer())

    def test_many_values(self):
        with self.home.client() as c:
            self.assertError(c.raw_reply(b'{"jsonrpc":"2.0","id":1,"method":"describe","params":{"selectors":[' + b'"a",' * 200000 + b'5]}}\n'), -32602)

    def test_numbers(self):
        with self.home.client() as c:
            for number in (b"1e999", b"99999999999999999999999999", b"-0", b"0x10", b"1.5", b"NaN"):
                c.send_raw(b'{"jsonrpc":"2.0","id":7,"method":"why","params":{"selectors":["a"],"runs":%s}}\n' % number)
                self.assertIn(c.recv()["error"]["code"], (-32602, -32700))

    def test_answers_that_nobody_reads(self):
        with self.home.client() as c:
            c.sock.settimeout(3)
            request = b'{"jsonrpc":"2.0","id":1,"method":"list","params":{"full":true}}\n'
            try:
                for _ in range(20000):
                    c.send_raw(request)
            except OSError:
                pass
            with self.home.client() as other:
                self.assertEqual(len(other.call("list")), 1)
            self.assertLess(rss_bytes(self.engine), 100e6 * (10 if SLOW > 1 else 1))

    def test_thousands_of_idle_connections(self):
        raise_nofile()
        folder = os.open(self.home.path, os.O_PATH)
        before = open_files(self.engine)
        idle = []
        try:
            refused = 0
            for _ in range(3000):
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(5 * SLOW)
                try:
                    s.connect("/proc/self/fd/%d/pm.sock" % folder)
                    idle.append(s)
                except OSError:
                    refused += 1
                    s.close()
                    if refused > 20:
                        break
            self.assertLess(open_files(self.engine), before + 1100)
            # Those that say nothing are closed after 10 s, and a client that speaks gets its turn.
            wait_until(lambda: open_files(self.engine) <= before + 5, 40, "idle connections are closed", step=0.3)
            with self.home.client() as c:
                self.assertEqual(len(c.call("list")), 1)
        finally:
            for s in idle:
                s.close()
            os.close(folder)
        wait_until(lambda: open_files(self.engine) <= before + 1, what="no descriptor is left")

    def test_connections_leave_nothing_behind(self):
        before = open_files(self.engine)
        for _ in range(300):
            with self.home.client() as c:
                c.call("list")
        wait_until(lambda: open_files(self.engine) <= before + 1, what="no descriptor is left")

    def test_random_bytes(self):
        import random
        source = random.Random(7)
        for _ in range(100):
            with self.home.client(hello=source.random() < 0.5) as c:
                try:
                    c.send_raw(bytes(source.choice(b'{}[]":,\\ \n\x00\xffeE+-.019untrfals') for _ in range(source.randrange(1, 3000))))
                except OSError:
                    pass

    def test_changed_requests(self):
        """Valid requests with single bytes changed: an error reply or a closed connection."""
        import random
        source = random.Random(11)
        requests = [{"method": "describe", "params": {"selectors": ["a"]}}, {"method": "logs", "params": {"selectors": ["all"], "lines": 5}},
                    {"method": "why", "params": {"selectors": ["0"], "runs": 2, "lines": 3}}, {"method": "list", "params": {"full": True}}]
        with self.home.client() as c:
            for i in range(400):
                data = bytearray(json.dumps(dict(source.choice(requests), jsonrpc="2.0", id=i)).encode())
                for _ in range(source.randrange(1, 4)):
                    data[source.randrange(len(data))] = source.choice([b for b in range(256) if b != 10])
                c.send_raw(bytes(data) + b"\n")
            c.send_raw(b'{"jsonrpc":"2.0","id":"last","method":"ping"}\n')
            while c.recv().get("id") != "last":
                pass

    def test_attach_socket(self):
        """Only a keeper has business there; others get nothing and do no harm."""
        folder = os.open(self.home.path, os.O_PATH)
        for data in (b"", b"\0" * 100, b"\xff" * 1024, b"x" * 60000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.settimeout(20 * SLOW)
                s.connect("/proc/self/fd/%d/attach.sock" % folder)
                try:
                    if data:
                        s.send(data)
                    self.assertEqual(s.recv(10), b"")
                except ConnectionError:
                    pass
        os.close(folder)


if __name__ == "__main__":
    main()
