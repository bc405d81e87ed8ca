"""What clients can do to processes beside starting and stopping them."""

import os
import signal
import sys
import time

import harness
from harness import RpcError, wait_until

TRAP = """
import signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: print("hup", flush=True))
signal.signal(signal.SIGUSR1, lambda *_: print("usr1", flush=True))
print("up", flush=True)
while True:
    time.sleep(60)
"""

ECHO = """
import sys
for line in sys.stdin:
    print(line.strip(), flush=True)
"""

FLOOD = """
import os, sys, time
i = left = 0
while left < 500:
    print("%08d ." % i, flush=True)
    i += 1
    left += os.path.exists(sys.argv[1])
    if i % 50 == 0:
        time.sleep(0.05)
print("end", flush=True)
time.sleep(1000)
"""


class ProcessMethods(harness.PmTest):
    limit = 120

    def app(self, name, **more):
        return dict({"name": name, "script": harness.CHILDREN + "/silent", "interpreter": "none"}, **more)

    def python(self, name, text, **more):
        return dict({"name": name, "script": self.home.file(name + ".py", text), "interpreter": sys.executable}, **more)

    def call(self, method, **params):
        with self.home.client_when_ready() as c:
            return c.call(method, params)

    def refused(self, code, words, method, **params):
        with self.assertRaisesRegex(RpcError, words) as e:
            self.call(method, **params)
        self.assertEqual(e.exception.code, code)

    def selected(self, *words):
        return [p["name"] for p in self.call("describe", selectors=words)]

    # ---- selectors

    def test_selectors(self):
        script = self.home.file("own.sh", "#!/bin/sh\nexec sleep 1000\n")
        self.home.start_apps([self.app("api"), self.app("api-v2", namespace="web"), self.app("7", namespace="num"),
                              self.app("x", namespace="0"), dict(self.app("web"), script=script)])
        self.assertEqual(self.selected("all"), ["api", "api-v2", "7", "x", "web"])
        self.assertEqual(self.selected("web"), ["web"])  # a name before a namespace
        self.assertEqual(self.selected("num"), ["7"])
        self.assertEqual(self.selected(script), ["web"])
        self.assertEqual(self.selected("/^api/"), ["api", "api-v2"])
        self.assertEqual(self.selected("/v[0-9]$|^x/"), ["api-v2", "x"])
        self.assertEqual(self.selected("7"), ["7"])
        self.assertEqual(self.selected("0"), ["x"])  # a namespace before an id
        self.assertEqual(self.selected("1"), ["api-v2"])
        self.assertEqual(self.selected("1", "all", "/api/"), ["api", "api-v2", "7", "x", "web"])
        self.refused(-32011, "no app's name matches", "describe", selectors=["/^nothing/"])
        self.refused(-32011, "\"/bin/sh\"", "describe", selectors=["/bin/sh"])
        for bad, words in (("/(/", "not a regular expression"), ("/a{9}/", "counted repeats"), (r"/(a)\1/", "back-references"),
                           ("/%s/" % ("a" * 257), "at most 256")):
            self.refused(-32602, words, "describe", selectors=[bad])
        self.refused(-32602, "more than 10000", "describe", selectors=["all"] * 10001)

    # ---- signals, counters, environment

    def test_signal(self):
        self.home.start_apps([self.python("trap", TRAP), self.app("down", autostart=False)])
        self.home.wait_log("trap", "up")
        pid = self.home.pid("trap")
        for name, said in (("SIGHUP", "hup\n"), ("usr1", "usr1\n"), (str(int(signal.SIGHUP)), "hup\nusr1\nhup\n")):
            done = self.call("process.signal", selectors=["all"], signal=name)["processes"]
            self.assertEqual([(p["name"], p["ok"], p["pid"]) for p in done], [("trap", True, pid)])
            self.home.wait_log("trap", said)
        for bad in ("SIGNOTHING", "", "0", "99999", "-1"):
            self.refused(-32602, "there is no signal", "process.signal", selectors=["trap"], signal=bad)
        self.refused(-32010, "down .id 1. is stopped", "process.signal", selectors=["down"], signal="HUP")
        self.assertEqual(self.home.pid("trap"), pid)

    def test_reset(self):
        self.home.start_apps([self.app("a")])
        self.call("process.restart", selectors=["a"])
        self.call("process.restart", selectors=["a"])
        before = self.home.proc("a")["pm2_env"]
        self.assertEqual(before["restart_time"], 2)
        pid = self.home.pid("a")
        self.assertTrue(self.call("process.reset", selectors=["a"])["processes"][0]["ok"])
        after = self.home.proc("a")["pm2_env"]
        self.assertEqual((after["restart_time"], after["unstable_restarts"]), (0, 0))
        self.assertGreater(after["created_at"], before["created_at"])
        self.home.replace_engine()
        self.assertEqual((self.home.restarts("a"), self.home.pid("a")), (0, pid))

    def test_env(self):
        self.home.start_apps([self.app("a", env={"API_TOKEN": "geheim", "X": "1"}, instances=2)])
        result = self.call("process.env", selector="1")
        self.assertEqual((result["id"], result["name"]), (1, "a"))
        env = result["env"]
        self.assertEqual((env["API_TOKEN"], env["X"], env["NODE_APP_INSTANCE"], env["pm_id"], env["PM_HOME"]),
                         ("geheim", "1", "1", "1", self.home.path))
        pid = self.call("describe", selectors=["1"])[0]["pid"]
        real = dict(e.decode().split("=", 1) for e in harness.proc_environ(pid) if e)
        self.assertEqual(env, real)
        self.refused(-32010, "give its id", "process.env", selector="a")

    def test_restart_with_env(self):
        self.home.start_apps([self.app("a", env={"X": "1", "Y": "1"}), self.app("b", env={"X": "1"})])
        self.call("process.restart", selectors=["a"], env={"X": "2", "Z": "3"})
        env = self.call("process.env", selector="a")["env"]
        self.assertEqual((env["X"], env["Y"], env["Z"]), ("2", "1", "3"))
        self.assertIn(b"X=2", harness.proc_environ(self.home.pid("a")))
        pid = self.home.pid("b")
        self.call("process.restart", selectors=["b"], env={"X": "2"}, only_update=True)
        self.assertEqual(self.home.pid("b"), pid)
        self.assertIn(b"X=1", harness.proc_environ(pid))
        self.home.replace_engine()
        self.call("process.restart", selectors=["b"])
        self.assertIn(b"X=2", harness.proc_environ(self.home.pid("b")))
        self.refused(-32602, "process.restart", "process.restart", selectors=["b"], env={"X": 1})
        self.refused(-32602, "needs \"env\"", "process.restart", selectors=["b"], only_update=True)

    # ---- scale

    def numbers(self, name="a"):
        return [(p["id"], p["instance"]) for p in self.call("list") if p["name"] == name]

    def test_scale(self):
        self.home.start_apps([self.app("a"), self.app("other")])
        pid = self.home.pid("a")
        self.assertEqual([p["ok"] for p in self.call("scale", name="a", to=3)["processes"]], [True, True])
        self.assertEqual(self.numbers(), [(0, 0), (2, 1), (3, 2)])
        self.assertEqual(self.home.procs("a")[0]["pid"], pid)
        removed = self.call("scale", name="a", by=-1)["processes"]
        self.assertEqual([(p["id"], p["status"]) for p in removed], [(0, "deleted")])
        self.assertEqual(self.numbers(), [(2, 1), (3, 2)])
        self.call("scale", name="a", by=2)
        self.assertEqual(self.numbers(), [(2, 1), (3, 2), (4, 0), (5, 3)])
        self.home.replace_engine()
        self.assertEqual({p["pm2_env"]["instances"] for p in self.home.procs("a")}, {4})
        self.assertEqual(len({p["pm2_env"]["pm_out_log_path"] for p in self.home.procs("a")}), 1)
        self.refused(-32010, "nothing to do: a has 4 processes", "scale", name="a", to=4)
        self.refused(-32010, "cannot be scaled to 0", "scale", name="a", to=0)
        self.refused(-32010, "cannot be scaled to 0", "scale", name="a", by=-9)
        self.refused(-32011, "no app \"nope\"", "scale", name="nope", to=2)
        self.refused(-32602, "either", "scale", name="a")
        self.refused(-32602, "either", "scale", name="a", to=2, cpus=True)
        self.call("process.delete", selectors=["all"])

    # ---- flush

    def say(self, name, *lines):
        for line in lines:
            self.call("process.send", selector=name, text=line)
        self.home.wait_log(name, lines[-1])

    def lines(self, name):
        return [x["text"] for x in self.home.history(name)]

    def test_flush(self):
        self.home.start_apps([self.python("a", ECHO), self.python("b", ECHO)])
        self.say("a", "one", "two")
        self.say("b", "three")
        result = self.call("flush", selectors=["a"])
        self.assertEqual([p["name"] for p in result["processes"]], ["a"])
        self.assertGreaterEqual(result["files"], 1)
        self.assertEqual((self.home.app_log("a"), self.lines("a")), ("", []))
        self.assertEqual((self.home.app_log("b"), self.lines("b")), ("three\n", ["three"]))
        self.say("a", "four")
        self.home.replace_engine()
        self.say("a", "five")
        self.assertEqual((self.home.app_log("a"), self.lines("a")), ("four\nfive\n", ["four", "five"]))
        self.call("process.stop", selectors=["b"])
        self.call("flush")
        self.assertEqual((self.home.app_log("a"), self.home.app_log("b"), self.lines("all")), ("", "", []))
        self.assertLess(os.path.getsize(os.path.join(self.home.path, "pmd.log")), 500)
        self.say("a", "six")
        self.assertEqual(self.lines("a"), ["six"])
        self.refused(-32011, "nope", "flush", selectors=["nope"])

    def test_flush_meets_kills(self):
        """Lines of a flooding app around flushes and kills of the engine: none torn, doubled, or out of order."""
        stop = os.path.join(self.home.work, "stop")
        self.home.start_apps([self.python("a", FLOOD, args=[stop])])
        for i in range(6):
            client = self.home.client_when_ready()
            client.send("flush", {"selectors": ["a"]})
            time.sleep(0.01 * i)
            self.home.replace_engine()
            client.close()
        self.home.file("stop", "")
        wait_until(lambda: "end" in self.home.app_log("a") and self.lines("a")[-1:] == ["end"], 60)
        for got in (self.home.app_log("a").splitlines(), [x["text"] for x in self.home.history("a")]):
            self.assertTrue(all(x.endswith(" .") for x in got[:-1]))
            numbers = [int(x.split()[0]) for x in got[:-1]]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
            self.assertGreaterEqual(len(numbers), 500)


if __name__ == "__main__":
    harness.main()
