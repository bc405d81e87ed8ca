"""Apps that talk on their Node channel: metrics, actions, messages; pm trigger; and pm events."""

import json
import os
import shutil
import signal
import time
import unittest

import harness
from harness import RpcError, child, wait_until

NODE = shutil.which("node")

# What @pm2/io and tx2 send and understand, by hand.
APP = r"""
const send = (type, data) => process.send({ type, data });
const reply = (action_name, value) => send('axm:reply', { return: value, action_name });
let n = 0;
process.on('message', m => {
  const name = typeof m === 'string' ? m : m && m.msg;
  if (name === 'ping') reply(name, { pong: process.pid });
  else if (name === 'echo') reply(name, m.opts === undefined ? null : m.opts);
  else if (name === 'crash') process.exit(7);
  else if (name === 'large') reply(name, 'x'.repeat(400000));
  else if (name === 'say') eval(m.opts);
  else if (name === 'count') reply(name, ++n);
});
for (const name of ['ping', 'echo', 'silent', 'crash', 'large', 'say', 'count'])
  send('axm:action', { action_name: name, opts: null, arity: name === 'ping' ? 1 : 2 });
send('axm:option:configuration', { error: true, metrics: { v8: true } });
const metrics = () => send('axm:monitor', { queue: { value: 42, unit: 'jobs', historic: true }, 'odd \u001b[31mname': { value: '1.5' } });
metrics();
setInterval(metrics, 200);
console.log('up');
"""

PLAIN = """
const n = Number(process.argv[2]);
process.on('SIGUSR2', () => { for (let i = 0; i < n; i++) process.send({ type: 'flood', data: { i, text: 'x'.repeat(900) } }); });
setInterval(() => {}, 1000);
"""


@unittest.skipUnless(NODE, "needs node")
class Talk(harness.PmTest):
    limit = 120

    def start_app(self, name="api", text=APP, *flags):
        self.home.start(name, self.home.file(name + ".js", text), *flags)
        wait_until(lambda: all(p["pm2_env"]["axm_monitor"] for p in self.home.procs(name)), what="the app's metrics are there")

    def env(self, name="api"):
        return self.home.procs(name)[0]["pm2_env"]

    def trigger(self, *words, code=0):
        return self.home.fails(code, "trigger", *words) if code else self.home.ok("trigger", *words)

    def refused(self, words, *args):
        r = self.trigger(*args, code=1)
        self.assertRegex(r.err, words)
        self.assertEqual(r.out, "")

    def test_what_an_app_announces_is_shown(self):
        self.start_app()
        env = self.env()
        self.assertEqual([a["action_name"] for a in env["axm_actions"]], ["ping", "echo", "silent", "crash", "large", "say", "count"])
        self.assertEqual(env["axm_actions"][1], {"action_name": "echo", "opts": None, "arity": 2})
        self.assertEqual(env["axm_monitor"]["queue"], {"value": 42, "unit": "jobs", "historic": True})
        self.assertEqual(env["axm_options"], {"error": True, "metrics": {"v8": True}})
        self.assertEqual(env["axm_dynamic"], {})
        text = self.home.ok("describe", "api").out
        self.assertRegex(text, r"(?m)^Actions available\n  ping +pm trigger api ping$")
        self.assertRegex(text, r"(?m)^Code metrics value\n  queue +42 jobs\n  odd name +1.5$")
        # Of a run that is over nothing is known any more.
        self.home.ok("stop", "api")
        self.assertEqual((self.env()["axm_actions"], self.env()["axm_monitor"]), ([], {}))
        self.assertNotIn("Actions available", self.home.ok("describe", "api").out)

    def test_trigger(self):
        self.start_app("api", APP, "-i", "2")
        pids = [p["pid"] for p in self.home.procs("api")]
        out = self.trigger("api", "ping").out
        self.assertEqual(sorted(out.splitlines()), ['[api:%d:default]={"pong":%d}' % (i, pid) for i, pid in enumerate(pids)])
        self.assertEqual(self.trigger("1", "echo", "two words \u00e9").out, '[api:1:default]="two words \u00e9"\n')
        self.assertEqual(self.trigger("0", "echo").out, "[api:0:default]=null\n")
        self.assertEqual(len(self.trigger("all", "ping").out.splitlines()), 2)
        self.assertEqual(len(self.trigger("/^ap/", "ping").out.splitlines()), 2)
        self.assertEqual(len(self.trigger("default", "ping").out.splitlines()), 2)
        replies = json.loads(self.trigger("api", "ping", "--json").out)
        self.assertEqual(replies[0], {"id": 0, "name": "api", "namespace": "default", "instance": 0, "ok": True, "return": {"pong": pids[0]}})

    def test_no_reply(self):
        self.start_app()
        begin = time.monotonic()
        self.refused(r"api \(id 0\): no reply within 0\.3 s", "api", "silent", "--timeout", "300ms")
        self.assertLess(time.monotonic() - begin, 4 * harness.SLOW)
        replies = json.loads(self.trigger("api", "silent", "--timeout", "300", "--json", code=1).out)
        self.assertEqual((replies[0]["ok"], replies[0]["error"]), (False, "no reply within 0.3 s"))
        self.refused("ended before it replied", "api", "crash")
        wait_until(lambda: self.env()["axm_actions"], what="it is up again")
        self.refused("the reply of 4000.. bytes is longer than 262144", "api", "large")
        self.assertRegex(self.trigger("api", "ping").out, "pong")

    def test_who_cannot_be_asked(self):
        self.start_app()
        self.home.start("quiet", child("silent"))
        self.refused(r'api \(id 0\): it has no action "nope"; its actions: ping, echo, silent, crash, large, say, count', "api", "nope")
        self.refused("quiet .* has no Node channel", "quiet", "ping")
        self.refused("no process.*nobody|nobody", "nobody", "ping")
        # Of several, those that have the action are asked.
        r = self.trigger("all", "ping")
        self.assertRegex(r.out, r"^\[api:0:default\]=.*\n$")
        self.assertRegex(r.err, r"quiet \(id 1\) was not asked")
        self.refused("none of the 2 selected processes can be asked", "all", "nope")
        self.home.ok("stop", "api")
        self.refused("it is stopped", "api", "ping")
        self.assertRegex(self.home.fails(2, "trigger", "api", "ping", "--timeout", "soon").err, "--timeout wants a time")
        self.assertRegex(self.home.fails(2, "trigger", "api").err, "trigger")
        with self.home.client() as c, self.assertRaisesRegex(RpcError, "at most 256 bytes, its argument 8192"):
            c.call("process.trigger", {"selectors": ["api"], "action": "ping", "arg": "x" * 9000})

    def test_many_at_once_are_answered_in_their_order(self):
        self.start_app()
        with self.home.client() as c:
            asked = [c.send("process.trigger", {"selectors": ["api"], "action": "count"}) for _ in range(20)]
            got = [c.reply(i)["result"]["replies"][0]["return"] for i in asked]
        self.assertEqual(got, list(range(1, 21)))

    def test_actions_outlive_the_engine_and_the_keeper(self):
        self.start_app()
        pid = self.home.pid("api")
        self.home.replace_engine()
        self.assertRegex(self.trigger("api", "ping").out, '"pong":%d' % pid)
        self.assertEqual(self.env()["axm_options"]["error"], True)
        wait_until(lambda: self.env()["axm_monitor"], what="metrics come again")
        # One more that only this engine has heard of.
        self.trigger("api", "say", "send('axm:action', {action_name: 'late'}); reply('say', 1)")
        self.home.ok("update")
        self.assertIn("late", [a["action_name"] for a in self.env()["axm_actions"]])
        self.assertRegex(self.trigger("api", "ping").out, '"pong":%d' % pid)
        old = self.home.keeper_pid()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self.home.keeper_pid() not in (None, old), what="a new keeper")
        self.home.replace_engine()
        self.assertRegex(self.trigger("api", "ping").out, '"pong":%d' % pid)
        self.assertEqual(self.home.pid("api"), pid)

    def test_whatever_an_app_says_it_goes_on(self):
        self.start_app()
        say = lambda code: self.trigger("api", "say", code + "; reply('say', 'ok')")
        pid = self.home.pid("api")
        with self.home.client() as c:
            c.call("events", {"follow": True, "lines": 0})
            say(r"process.send('\ud800'); process.send(null); process.send(7); process.send({'\u0000': 1}); process.send({cmd: 'hello'})")
            say("for (let i = 0; i < 2000; i++) send('axm:action', {action_name: 'a' + i, opts: i})")
            say("for (let i = 0; i < 2000; i++) send('axm:action', {action_name: 'a1', opts: i})")
            say("send('axm:monitor', {big: 'x'.repeat(200000)}); send('axm:monitor', [1]); send('axm:action', 'x'); send('axm:reply', null)")
            say("process.send('[' + '['.repeat(300000)); process.send('y'.repeat(2000000))")
            say("process.send(12345678901234567890123n === 1 ? 1 : 1e300)")
            self.assertRegex(self.trigger("api", "ping").out, "pong")
            seen = [c.notification()["params"] for _ in range(7)]
        self.assertEqual(len(self.env()["axm_actions"]), 256)
        self.assertNotIn("big", self.env()["axm_monitor"])
        self.assertIn("announces more metrics or actions than are kept", self.home.log())
        self.assertEqual(seen[0]["raw"], '"\\ud800"')
        self.assertEqual([s.get("data", "-") for s in seen[1:3]], [None, 7])
        self.assertEqual(seen[3]["raw"], '{"\\u0000":1}')
        self.assertEqual(seen[4]["data"], {"cmd": "hello"})
        self.assertEqual(self.home.pid("api"), pid)
        # and the engine after that knows the same
        before = self.env()["axm_actions"]
        self.home.replace_engine()
        self.assertEqual(self.env()["axm_actions"], before)

    def test_pm2_io_and_tx2(self):
        modules = os.environ.get("PM_TEST_NODE_MODULES", "")
        for module in ("@pm2/io", "tx2"):
            if not os.path.isdir(os.path.join(modules, module)):
                self.skipTest("PM_TEST_NODE_MODULES names no folder with %s" % module)
        for module in ("@pm2/io", "tx2"):
            name = module.strip("@").replace("/", "-")
            self.home.start(name, self.home.file(name + ".js", """
                const io = require(%r);
                io.action('ping', cb => cb({ pong: 1 }));
                io.action('echo', (arg, cb) => cb({ arg }));
                io.metric({ name: 'queue', value: () => 42, unit: 'jobs' });
                setInterval(() => {}, 1000);""" % module), env={"NODE_PATH": modules})
            wait_until(lambda: "queue" in self.env(name)["axm_monitor"], what="the metric of %s" % module)
            ident = self.home.procs(name)[0]["pm_id"]
            self.assertEqual(self.trigger(name, "ping").out, '[%s:%d:default]={"pong":1}\n' % (name, ident))
            self.assertEqual(self.trigger(name, "echo", "hi").out, '[%s:%d:default]={"arg":"hi"}\n' % (name, ident))
            self.assertEqual(self.env(name)["axm_monitor"]["queue"]["value"], 42)


class Events(harness.PmTest):
    limit = 120

    def follow(self, c, *words, **more):
        return c.call("events", dict({"follow": True}, **({"selectors": list(words)} if words else {}), **more))["events"]

    def collect(self, c, until, timeout=20):
        """The events up to the first one of this kind."""
        events = []
        while not events or events[-1].get("event") != until:
            events.append(c.notification(timeout * harness.SLOW)["params"])
        return events

    def test_a_life_from_start_to_delete(self):
        self.home.start("other", child("silent"))
        with self.home.client() as c:
            self.follow(c, lines=0)
            self.home.start("api", child("silent"))
            seen = self.collect(c, "online")
            pid = self.home.pid("api")
            self.assertEqual([e["event"] for e in seen], ["start", "online"])
            self.assertEqual({k: seen[0][k] for k in ("channel", "name", "namespace", "id", "instance", "pid", "manually")},
                             {"channel": "process:event", "name": "api", "namespace": "default", "id": 1, "instance": 0, "pid": pid, "manually": True})
            self.assertRegex(seen[0]["by"], "^pm start ")
            self.assertLess(abs(seen[0]["time"] / 1000 - time.time()), 60)
            os.kill(pid, signal.SIGKILL)
            seen = self.collect(c, "online")
            self.assertEqual([e["event"] for e in seen], ["exit", "restart", "start", "online"])
            self.assertEqual((seen[0]["signal"], seen[0]["manually"], seen[0]["pid"]), (9, False, pid))
            self.assertIn("SIGKILL", seen[0]["text"])
            self.assertEqual((seen[1]["manually"], seen[2]["manually"]), (False, False))
            self.home.ok("restart", "api")
            seen = self.collect(c, "online")
            self.assertEqual([e["event"] for e in seen], ["restart", "exit", "start", "online"])
            self.assertEqual({e["manually"] for e in seen}, {True})
            self.assertRegex(seen[0]["by"], "^pm restart api ")
            self.assertNotEqual(seen[1]["run"], seen[2]["run"])
            self.home.ok("stop", "api")
            seen = self.collect(c, "stop")
            self.assertEqual([e["event"] for e in seen], ["exit", "stop"])
            self.assertRegex(seen[1]["by"], "^pm stop api ")
            self.home.ok("delete", "api")
            self.assertEqual([e["event"] for e in self.collect(c, "delete")], ["delete"])

    def test_failures(self):
        self.home.start("other", child("silent"))
        with self.home.client() as c:
            self.follow(c, lines=0)
            self.home.pm("start", child("exit_code", 7)[0], "--name", "bad", "--max-restarts", "2", "--", "7")
            seen = self.collect(c, "restart overlimit")
            self.assertEqual({e["exit_code"] for e in seen if e["event"] == "exit"}, {7})
            self.assertRegex(seen[-1]["text"], "unstable")
            self.home.fails(1, "start", child("silent")[0], "--name", "late", "--wait-ready", "--listen-timeout", "200", "--max-restarts", "1")
            self.assertRegex(self.collect(c, "ready timeout")[-1]["text"], "not ready|ready")
            self.home.ok("delete", "late")

    def test_selected_ones_and_stored_ones(self):
        self.home.start("a", child("silent"))
        self.home.start("b", child("silent"))
        self.home.ok("restart", "a")
        lines = lambda *flags: [json.loads(line) for line in self.home.ok("events", *flags, "--json", "--nostream").out.splitlines()]
        self.assertEqual([(e["name"], e["event"]) for e in lines("--lines", "100")],
                         [("a", "start"), ("a", "online"), ("b", "start"), ("b", "online"),
                          ("a", "restart"), ("a", "exit"), ("a", "start"), ("a", "online")])
        self.assertEqual([e["event"] for e in lines("b", "--lines", "1")], ["online"])
        self.assertEqual(len(lines("a", "--since", "1h")), 6)
        self.assertEqual(lines("--since", "now"), [])
        self.assertEqual(len(lines("--lines", "3", "--since", "1h")), 3)
        text = self.home.ok("events", "--nostream").out.splitlines()
        self.assertEqual(len(text), 8)
        self.assertRegex(text[0], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  a \(0\) +start +pid \d+, run \d+; by pm start ")
        with self.home.client() as c:
            self.follow(c, "b", lines=0)
            self.home.ok("restart", "a", "b", "--parallel", "2")
            self.assertEqual({e["name"] for e in self.collect(c, "online")}, {"b"})
        self.assertRegex(self.home.fails(2, "events", "--since", "whenever").err, "--since")
        self.assertRegex(self.home.fails(1, "events", "nobody").err, "nobody")

    def test_the_command_follows_across_an_engine(self):
        self.home.start("api", child("silent"))
        p = self.home.popen("events", "--json", "--lines", "0")
        try:
            self.wait_listener(p)
            self.home.ok("restart", "api")
            self.home.replace_engine()
            wait_until(lambda: [p for p in self.home.ok("events", "--nostream", "--json").out.splitlines() if "engine replaced" in p])
            self.read_until(p, "engine replaced")
            self.home.ok("stop", "api")
            self.read_until(p, '"stop"')
            p.send_signal(signal.SIGINT)
            self.assertEqual(self.home.finish(p).code, 0)
        finally:
            p.kill()
            p.communicate()
        events = [json.loads(line) for line in self.lines]
        self.assertEqual([e["event"] for e in events if e.get("name") != "probe"],
                         ["restart", "exit", "start", "online", "engine replaced", "exit", "stop"])

    lines = ()

    def read_until(self, p, word):
        while True:
            line = p.stdout.readline().decode()
            self.assertTrue(line, "the command ended")
            self.lines.append(line)
            if word in line:
                return

    def wait_listener(self, p):
        """Until the command hears what happens: something is made to happen until it prints it."""
        self.lines = []
        os.set_blocking(p.stdout.fileno(), False)

        def heard():
            self.home.start("probe", child("silent"))
            self.home.ok("delete", "probe")
            return p.stdout.readline()
        wait_until(heard, what="pm events prints something")
        os.set_blocking(p.stdout.fileno(), True)
        while '"delete"' not in p.stdout.readline().decode():
            pass

    def test_no_daemon(self):
        r = self.home.fails(1, "events")
        self.assertRegex(r.err, "no daemon runs for")
        self.assertRegex(self.home.fails(1, "trigger", "api", "x").err, "no daemon runs for")

    def test_the_end_of_the_daemon(self):
        self.home.start("api", child("silent"))
        with self.home.client() as c:
            self.follow(c, lines=0)
            self.home.ok("kill")
            self.assertEqual([e["event"] for e in self.collect(c, "delete")], ["kill", "exit", "stop", "delete"])

    @unittest.skipUnless(NODE, "needs node")
    def test_a_slow_subscriber_holds_nobody_up(self):
        count = harness.scaled(20000, 5000)
        self.home.start("flood", self.home.file("flood.js", PLAIN), "--", str(count))
        with self.home.client() as slow, self.home.client() as quick:
            self.follow(slow, lines=0)
            self.follow(quick, "flood", lines=0)
            self.wait_handler(self.home.pid("flood"))
            self.home.ok("sendSignal", "SIGUSR2", "flood")
            got = missed = 0
            while got + missed < count:
                params = quick.notification(30 * harness.SLOW)["params"]
                missed += params.get("missed", 0)
                got += params.get("type") == "flood"
            self.assertGreater(got, 0)
            # The other one has read nothing yet.
            self.home.ok("stop", "flood")
            got = missed = 0
            stopped = False
            while not stopped or got + missed < count:
                params = slow.notification(30 * harness.SLOW)["params"]
                missed += params.get("missed", 0)
                got += params.get("type") == "flood"
                stopped = stopped or params.get("event") == "stop" or missed + got >= count
            self.assertGreater(missed, 0)
            self.assertGreater(got, 0)

    def wait_handler(self, pid):
        """Until the process catches SIGUSR2."""
        def catches():
            for line in harness.read_file("/proc/%d/status" % pid).splitlines():
                if line.startswith("SigCgt:"):
                    return int(line.split()[1], 16) & (1 << (signal.SIGUSR2 - 1))
        wait_until(catches, what="the app catches SIGUSR2")


if __name__ == "__main__":
    harness.main()
