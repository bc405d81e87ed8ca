"""Changing over from PM2: its saved list is read, and only read."""

import json
import os
import shutil
import stat
import unittest

import harness
from harness import PmTest, proc_cmdline, proc_environ, read_file, wait_until

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "configs", "pm2", "dump.pm2")
JS = "console.log('up', process.argv.slice(2).join('|'), process.env.WHICH, process.env.N); setInterval(() => {}, 1000);\n"
PY = "import sys, time\nprint('up', *sys.argv[1:])\nwhile True:\n    time.sleep(1)\n"


def environment(pid):
    return dict(entry.decode().split("=", 1) for entry in proc_environ(pid) if entry)


@unittest.skipUnless(shutil.which("node"), "needs node")
class Pm2Dump(PmTest):
    limit = 120

    def setUp(self):
        super().setUp()
        self.pm2_home = os.path.join(self.home.work, ".pm2")
        os.mkdir(self.pm2_home)
        for name, text in (("web.js", JS), ("api.js", JS), ("worker.py", PY)):
            self.home.file("apps/" + name, text)

    def sample(self):
        """A list that PM2 7.0.4 has saved, with the places of this test."""
        text = read_file(SAMPLE)
        for name, value in (("PATH", self.home.env["PATH"]), ("APPS", self.home.work + "/apps"), ("HOME", self.home.work),
                            ("PM2_HOME", self.pm2_home)):
            text = text.replace("@%s@" % name, value)
        records = json.loads(text)
        for r in records:
            r["env"]["PM_TEST_HOME"] = r["PM_TEST_HOME"] = self.home.marker
        return records

    def put(self, records, name=".pm2/dump.pm2"):
        return self.home.file(name, records if isinstance(records, str) else json.dumps(records, indent=2), 0o644)

    def untouched(self, path, before):
        st = os.stat(path)
        self.assertEqual((st.st_mtime_ns, st.st_ino, st.st_size, stat.S_IMODE(st.st_mode)), before)

    def state(self, path):
        st = os.stat(path)
        return st.st_mtime_ns, st.st_ino, st.st_size, stat.S_IMODE(st.st_mode)

    def test_everything_comes_back(self):
        path = self.put(self.sample())
        before = self.state(path)
        result = self.home.ok("resurrect")
        self.assertIn("taking the list that PM2 has saved in %s" % path, result.err)
        self.untouched(path, before)
        self.assertEqual(os.listdir(self.pm2_home), ["dump.pm2"])

        records = {(p["name"], p["pm2_env"]["NODE_APP_INSTANCE"]): p for p in self.home.jlist()}
        self.assertEqual(sorted(records), [("api", 0), ("api", 1), ("plain", 0), ("web", 0), ("worker", 0)])
        status = {key: p["pm2_env"]["status"] for key, p in records.items()}
        self.assertEqual(status.pop(("plain", 0)), "stopped")
        self.assertEqual(set(status.values()), {"online"})

        web = records["web", 0]
        self.assertEqual(proc_cmdline(web["pid"])[1:],
                         ["--max-old-space-size=100", self.home.work + "/apps/web.js", "one", "two words"])
        self.assertEqual(os.readlink("/proc/%d/cwd" % web["pid"]), self.home.work + "/apps")
        env = environment(web["pid"])
        self.assertEqual((env["GREETING"], env["LIMITS"], env["LANG"]), ("hallo", '{"a":1}', "C.UTF-8"))
        self.assertEqual(env["PM2_HOME"], self.home.path)  # pm's own, as for every app
        leaked = [name for name in env if name in ("unique_id", "status", "web", "pm_uptime", "exec_mode")
                  or name.startswith(("axm_", "PM2_")) and name != "PM2_HOME"]
        self.assertEqual(leaked, [])
        for key, value in (("max_restarts", 5), ("min_uptime", 2000), ("kill_timeout", 3000), ("restart_delay", 50),
                           ("stop_exit_codes", [3, 4]), ("pm_out_log_path", self.home.work + "/apps/data/web.log"),
                           ("pm_err_log_path", self.home.path + "/logs/web-error.log")):
            self.assertEqual(web["pm2_env"][key], value)
        wait_until(lambda: "up one|two words" in read_file(self.home.work + "/apps/data/web.log"), what="the log")

        worker = records["worker", 0]["pm2_env"]
        self.assertEqual((worker["namespace"], worker["autorestart"], worker["exec_interpreter"]), ("jobs", False, "python3"))
        for n in (0, 1):
            env = environment(records["api", n]["pid"])
            self.assertEqual((env["WHICH"], env["N"]), (str(n), str(n)))

        # Again, nothing is doubled; and pm's own list has precedence once there is one.
        result = self.home.ok("resurrect")
        self.assertIn("left api as it is", result.out)
        self.home.ok("delete", "api", "worker", "plain")
        self.home.ok("save")
        self.home.ok("delete", "web")
        result = self.home.ok("resurrect")
        self.assertNotIn("PM2", result.err)
        self.assertEqual([p["name"] for p in self.home.jlist()], ["web"])

    def test_where_it_is_looked_for(self):
        records = {r["name"]: r for r in self.sample()}
        other = os.path.join(self.home.work, "other")
        self.put([records["worker"]])
        self.put([records["web"]], "other/dump.pm2")
        self.home.ok("resurrect", env={"PM2_HOME": other})
        self.assertEqual([p["name"] for p in self.home.jlist()], ["web"])
        self.home.ok("delete", "all")
        with open(os.path.join(self.home.path, "dump.pm2"), "w") as f:
            json.dump([records["plain"]], f)
        self.home.ok("resurrect", env={"PM2_HOME": other})
        self.assertEqual([p["name"] for p in self.home.jlist()], ["plain"])
        self.home.ok("delete", "all")
        self.home.ok("resurrect", self.pm2_home + "/dump.pm2")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["worker"])

    def test_damaged(self):
        good = json.dumps(self.sample())
        path, bak = self.put(good[:len(good) // 2]), self.put(good, ".pm2/dump.pm2.bak")
        before = self.state(path), self.state(bak)
        result = self.home.ok("resurrect")
        self.assertRegex(result.err, r"warning: %s:1:\d+: .*; the list before it is taken\n" % path)
        self.assertEqual(len(self.home.jlist()), 5)
        self.assertEqual((self.state(path), self.state(bak)), before)
        self.home.ok("delete", "all")

        self.put("", ".pm2/dump.pm2.bak")
        result = self.home.fails(1, "resurrect")
        self.assertRegex(result.err, r"error: %s:1:\d+: " % path)
        self.assertEqual(len(result.err.splitlines()), 1)
        self.assertEqual(self.home.jlist(), [])
        os.unlink(path)  # as PM2 does with a damaged one
        self.put([self.sample()[1]], ".pm2/dump.pm2.bak")
        self.home.ok("resurrect")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["worker"])

    def test_nothing_of_a_bad_one(self):
        records = self.sample()
        records[1]["max_restarts"] = "many"
        path = self.put(records, "saved.json")
        result = self.home.fails(1, "resurrect", path)
        self.assertEqual(result.err, "[pm] error: %s: [1].max_restarts: expected a whole number, found the text \"many\"\n" % path)
        self.assertEqual(self.home.daemons(), [])
        self.assertIn("there is no file", self.home.fails(1, "resurrect", "nowhere").err)
        self.assertIn("is no dump of PM2", self.home.fails(1, "resurrect", self.home.config([{"script": "x"}])).err)
        self.assertEqual(self.home.daemons(), [])

    def test_a_program_that_is_gone(self):
        records = self.sample()
        records[0]["exec_interpreter"] = "/nowhere/node"
        self.put(records)
        result = self.home.fails(1, "resurrect")
        self.assertIn("web (id 0) was not", result.err)
        self.assertEqual(len([p for p in self.home.jlist() if p["pm2_env"]["status"] == "online"]), 3)

    def test_without_one(self):
        result = self.home.fails(1, "resurrect")
        self.assertIn("there is no saved list; pm save makes one, and PM2 has left no dump.pm2", result.err)

    def test_a_list_larger_than_a_request(self):
        record = self.sample()[3]
        records = [dict(record, name="app-%d" % n, env=dict(record["env"], BIG="%d" % n + "x" * 100000)) for n in range(30)]
        self.put(records)
        self.home.ok("resurrect")
        self.assertEqual(len(self.home.jlist()), 30)


if __name__ == "__main__":
    harness.main()
