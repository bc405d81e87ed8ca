"""Metrics from inside Node (node_probe), and that an app does not notice the probe."""

import json
import shutil
import unittest
import urllib.request

from harness import PmTest, free_port, main, proc_cmdline, wait_until
from test_graceful_http import CURIOUS

NAMES = {"Event loop p50", "Event loop p99", "Heap used", "Heap total", "Active handles", "Requests/min"}

SERVER = """
const http = require('http');
http.createServer((req, res) => {
    if (req.url === '/block')
        for (const end = Date.now() + 300; Date.now() < end;);
    res.end('fine');
}).listen(+process.env.PORT, '127.0.0.1');
"""


@unittest.skipUnless(shutil.which("node"), "needs node")
class Probe(PmTest):
    def setUp(self):
        super().setUp()
        self.home = self.new_home()
        self.port = free_port()

    def start(self, text, **keys):
        script = self.home.file("app.js", text)
        self.home.start_apps([dict({"name": "app", "script": script, "node_probe": True, "env": {"PORT": str(self.port)}}, **keys)])

    def metrics(self):
        return self.home.procs("app")[0]["pm2_env"]["axm_monitor"] or {}

    def value(self, name):
        return self.metrics().get(name, {}).get("value", 0)

    def get(self, path="/"):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.port, path)) as answer:
            return answer.read()

    def until_up(self):
        def answers():
            try:
                return self.get()
            except OSError:
                return None
        wait_until(answers)

    def says(self, key):
        return json.loads(wait_until(lambda: next((line for line in self.home.app_log("app").splitlines() if line.startswith("{")), None)))[key]

    def check_metrics(self, **keys):
        self.start(SERVER, **keys)
        wait_until(self.metrics)
        self.assertEqual(set(self.metrics()), NAMES)
        self.until_up()
        wait_until(lambda: self.value("Requests/min") >= 1)
        before = self.value("Requests/min")
        for _ in range(20):
            self.get()
        wait_until(lambda: self.value("Requests/min") == before + 20, what=lambda: self.metrics())
        self.assertGreater(self.value("Heap total"), self.value("Heap used"))
        self.assertGreater(self.value("Heap used"), 1)
        self.assertGreaterEqual(self.value("Active handles"), 1)
        self.assertEqual(self.metrics()["Heap used"]["unit"], "MiB")

        def blocked():
            self.get("/block")
            return self.value("Event loop p99") >= 100
        wait_until(blocked, what=lambda: self.metrics())
        self.assertIn("Event loop p99", self.home.ok("describe", "app").out)

    def test_fork(self):
        self.check_metrics()

    def test_cluster(self):
        self.check_metrics(exec_mode="cluster", instances=1)
        self.assertIn("node_probe.js", str(proc_cmdline(self.home.pid("app"))))
        self.home.ok("reload", "app")
        wait_until(self.metrics)

    def test_off_unless_asked_for(self):
        self.start("setInterval(() => {}, 1000)", node_probe=False)
        self.assertNotIn("node_probe.js", str(proc_cmdline(self.home.pid("app"))))
        self.start("setInterval(() => {}, 1000)", node_probe=True)
        self.home.ok("restart", "app")
        wait_until(self.metrics)
        self.assertTrue(self.home.proc("app")["pm2_env"]["node_probe"])

    def test_an_app_that_is_done_ends(self):
        self.start("setTimeout(() => console.log('done'), 2500)", autorestart=False)
        wait_until(self.metrics)
        self.home.wait_status("app", "stopped")
        self.assertEqual(self.home.proc("app")["pm2_env"]["exit_code"], 0)

    def test_an_app_does_not_notice_it(self):
        nothing = [[], [], ""]
        self.start(CURIOUS)
        for who in ("own", "spawned", "forked", "thread"):
            self.assertEqual(self.says(who), nothing, who)
        self.assertTrue(self.says("main"))

    def test_in_an_app_that_breaks_things(self):
        """It puts others in the place of what the probe uses, disconnects, and lives on without an error."""
        self.start("""
            process.on('uncaughtException', (e) => console.log(JSON.stringify({ error: String(e) })));
            process.send = process.memoryUsage = process.getActiveResourcesInfo = setInterval = clearInterval = () => { throw new Error('mine'); };
            setTimeout(() => process.disconnect(), 2500);
            setTimeout(() => console.log(JSON.stringify({ error: null })), 5000);
            setTimeout(() => {}, 1e6);
        """)
        wait_until(self.metrics)
        self.assertIsNone(self.says("error"))

    def test_modules_are_probed_too(self):
        script = self.home.file("app.mjs", "setInterval(() => {}, 1000); export default 1;")
        self.home.start_apps([{"name": "app", "script": script, "node_probe": True}])
        wait_until(self.metrics)

    def test_other_programs_are_left_alone(self):
        self.home.start_apps([{"name": "app", "script": "sleep", "args": "1000", "interpreter": "none", "node_probe": True}])
        self.assertEqual(proc_cmdline(self.home.pid("app")), ["/usr/bin/sleep", "1000"])


if __name__ == "__main__":
    main()
