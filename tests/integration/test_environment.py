"""Which environment an app gets, and what a restart makes of it; names, ids and instances beside it."""

import json
import os
import pwd
import stat
import unittest

from harness import PmTest, child, main, proc_environ, wait_until


class Environment(PmTest):
    def eco(self, **app):
        return self.home.config([dict({"name": "a", "script": child("silent")[0]}, **app)], name="eco.json")

    def env(self, name="a"):
        """Of the running process, and what pm says of it, which must be the same."""
        real = dict(e.decode().split("=", 1) for e in proc_environ(self.home.pid(name)) if e)
        self.assertEqual(json.loads(self.home.ok("env", name, "--json").out), real)
        return real

    # ---- what it is made of

    def test_structured_values_are_json_texts(self):
        self.home.ok("start", self.eco(env={"O": {"a": [1, "x", None, True]}, "L": [1, 2], "N": 1.50, "T": True, "E": ""}))
        env = self.env()
        self.assertEqual((json.loads(env["O"]), env["L"], env["N"], env["T"], env["E"]),
                         ({"a": [1, "x", None, True]}, "[1,2]", "1.5", "true", ""))

    def test_order_of_precedence(self):
        self.home.file("vars.env", "A=env_file\nB=env_file\nC=env_file\n")
        path = self.eco(env_file="vars.env", env={"B": "env", "C": "env", "PORT": 1}, env_production={"C": "production"}, port=2)
        self.home.ok("start", path, "--env", "production", env={n: "shell" for n in "ABCD"})
        env = self.env()
        self.assertEqual([env[n] for n in "ABCD"], ["env_file", "env", "production", "shell"])
        self.assertEqual(env["PORT"], "2")

    def test_only_a_handful_is_added(self):
        self.home.start("a", child("silent"))
        added = set(self.env()) - set(self.home.env)
        self.assertEqual(added, {"PM2_HOME", "pm_id", "name", "NODE_APP_INSTANCE", "PM_RUN_ID"})

    def test_filter_env_in_a_file(self):
        mine = {"CI_JOB": "1", "MY_CI": "2", "KEPT": "3"}
        self.home.ok("start", self.eco(filter_env=["CI"], env={"CI_OWN": "4"}), env=mine)
        env = self.env()
        self.assertEqual([env.get(n) for n in ("CI_JOB", "MY_CI", "KEPT", "CI_OWN")], [None, None, "3", "4"])
        self.home.ok("delete", "a")
        self.home.ok("start", self.eco(filter_env=True, env={"PM_TEST_HOME": self.home.marker}), env=mine)
        self.assertEqual(set(self.env()), {"PM_TEST_HOME", "PM_HOME", "PM2_HOME", "pm_id", "name", "NODE_APP_INSTANCE", "PM_RUN_ID"})

    def test_python_is_unbuffered_unless_told_otherwise(self):
        script = self.home.file("w.py", "import time\ntime.sleep(1000)\n")
        self.home.ok("start", script, "--name", "a")
        self.assertEqual(self.env()["PYTHONUNBUFFERED"], "1")
        self.home.ok("delete", "a")
        self.home.ok("start", self.eco(script=script, env={"PYTHONUNBUFFERED": ""}))
        self.assertEqual(self.env()["PYTHONUNBUFFERED"], "")

    @unittest.skipUnless(os.geteuid() == 0, "only root runs apps as others")
    def test_home_of_the_user(self):
        nobody = pwd.getpwnam("nobody")
        self.home.ok("start", "/bin/sleep", "--name", "a", "--uid", "nobody", "--cwd", "/", "--", "1000")
        self.assertEqual(self.env()["HOME"], nobody.pw_dir)
        self.assertEqual(os.stat("/proc/%d" % self.home.pid("a")).st_uid, nobody.pw_uid)

    # ---- restarts

    def test_restart_keeps_what_is_stored(self):
        self.home.ok("start", self.eco(env={"X": "file"}), env={"A": "1", "X": "shell"})
        self.home.ok("restart", "a", env={"A": "2", "B": "2"})
        env = self.env()
        self.assertEqual((env["A"], env["X"], env.get("B")), ("1", "file", None))
        self.home.ok("stop", "a")
        self.home.ok("start", "a", env={"A": "3"})
        self.assertEqual(self.env()["A"], "1")

    def test_update_env_puts_the_shells_over_it(self):
        self.home.ok("start", self.eco(env={"X": "file"}), env={"A": "1", "GONE": "1"})
        self.home.ok("restart", "a", "--update-env", env={"A": "2", "X": "shell", "B": "2"})
        env = self.env()
        self.assertEqual((env["A"], env["X"], env["B"], env["GONE"]), ("2", "shell", "2", "1"))

    def test_restart_of_a_file_merges_the_shell_and_then_the_file(self):
        path = self.eco(env={"X": "1", "OLD": "1"}, env_production={"X": "2", "ONLY_PRODUCTION": "2"})
        self.home.ok("start", path, "--env", "production", env={"A": "1", "FIRST_SHELL": "1"})
        self.assertEqual(self.env()["X"], "2")
        path = self.eco(env={"X": "3"}, env_production={"X": "2"})
        for command, word in (("restart", "3"), ("start", "4"), ("startOrRestart", "5"), ("reload", "6")):
            self.home.ok(command, path, env={"A": word, "X": "shell"})
            env = self.env()
            self.assertEqual([env[n] for n in ("A", "X", "OLD", "ONLY_PRODUCTION", "FIRST_SHELL")], [word, "3", "1", "2", "1"])
        self.home.replace_engine()
        self.home.ok("restart", "a")
        self.assertEqual(self.env()["ONLY_PRODUCTION"], "2")

    def test_null_takes_one_away(self):
        self.home.ok("start", self.eco(env={"X": "1", "Y": "1"}), env={"A": "1"})
        self.home.ok("restart", self.eco(env={"X": None, "A": None, "PATH": None}), env={"A": "2"})
        env = self.env()
        self.assertEqual((env.get("X"), env.get("A"), env.get("PATH"), env["Y"]), (None, None, None, "1"))
        self.home.ok("restart", self.eco(env={"X": None}, env_x={"X": "back"}), "--env", "x")
        self.assertEqual(self.env()["X"], "back")

    def test_env_name_without_a_file(self):
        self.home.ok("start", child("silent")[0], "--name", "a", "--env", "production")  # ignored, as PM2 does
        pid = self.home.pid("a")
        for command in ("restart", "reload"):
            result = self.home.fails(1, command, "a", "--env", "production")
            self.assertIn('--env production chooses among the "env_..." of a config file, and a names none', result.err)
        self.assertEqual(self.home.pid("a"), pid)
        self.home.ok("stop", "a")
        self.home.ok("start", "a", "--env", "production")
        self.home.ok("start", "0", "--env", "production")

    def test_env_name_that_no_app_has(self):
        result = self.home.ok("start", self.eco(env={"X": "1"}), "--env", "nope")
        self.assertIn('no app has "env_nope", so --env nope changes nothing', result.err)
        self.assertEqual(self.env()["X"], "1")

    # ---- secrets

    def test_secrets(self):
        secrets = {"API_KEY": "hush1", "GH_TOKEN": "hush2", "my_secret": "hush3", "DB_PASSWORD": "hush4", "STRIPEKEY": "hush5",
                   "BACKEND": "amqp://shop:hush6@mq:5672/x"}
        shown = {"SSL_CERT_FILE": "/etc/c.pem", "NODE_EXTRA_CA_CERTS": "/etc/ca.pem", "KEYBOARD": "de"}
        self.home.ok("start", self.eco(env=dict(secrets, **shown)))
        self.home.ok("restart", "a")
        self.home.ok("save")
        for words in (["jlist"], ["prettylist"], ["list", "--json"], ["list"], ["describe", "a"], ["describe", "a", "--json"], ["report"],
                      ["report", "--json"], ["why", "a"], ["why", "a", "--json"]):
            result = self.home.pm(*words)
            self.assertNotIn("hush", result.out + result.err, words)
        record = self.home.proc("a")["pm2_env"]
        for where in (record, record["env"]):
            self.assertEqual({n: where[n] for n in shown}, shown)
            self.assertEqual(where["BACKEND"], "amqp://shop:********@mq:5672/x")
        self.assertNotIn("hush", self.home.log())
        self.assertEqual({n: self.env()[n] for n in secrets}, secrets)  # pm env is the one place
        self.home.replace_engine()
        self.assertNotIn("hush", self.home.log())

    def test_files_are_for_the_owner_only(self):
        self.home.ok("start", self.eco(env={"API_KEY": "hush"}))
        self.home.ok("save")
        self.home.ok("save")
        self.home.replace_engine()
        for folder, _, files in os.walk(self.home.path):
            self.assertEqual(stat.S_IMODE(os.stat(self.home.path).st_mode), 0o700)
            for name in files:
                if name.startswith(("state.db", "logs.db")):
                    self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) & 0o177, 0, name)


class Instances(PmTest):
    def app(self, name, **more):
        return dict({"name": name, "script": child("silent")[0]}, **more)

    def of(self, name, *variables):
        """Of each process by id: the variables that it really has."""
        found = []
        for p in self.home.procs(name):
            env = dict(e.decode().split("=", 1) for e in proc_environ(p["pid"]) if e)
            found.append((p["pm_id"],) + tuple(env.get(v) for v in variables))
        return sorted(found)

    def test_lowest_free_number_of_the_name(self):
        self.home.start_apps([self.app("a", instances=3), self.app("b")])
        self.assertEqual(self.of("a", "NODE_APP_INSTANCE"), [(0, "0"), (1, "1"), (2, "2")])
        self.assertEqual(self.of("b", "NODE_APP_INSTANCE"), [(3, "0")])
        self.home.ok("delete", "1")
        self.home.ok("scale", "a", "4")
        self.assertEqual(self.of("a", "NODE_APP_INSTANCE"), [(0, "0"), (2, "2"), (4, "1"), (5, "3")])
        self.home.ok("restart", "a")
        self.assertEqual(self.of("a", "NODE_APP_INSTANCE"), [(0, "0"), (2, "2"), (4, "1"), (5, "3")])
        # A second entry of the name counts on.
        self.home.ok("start", child("silent")[0], "--name", "a", "-f")
        self.assertEqual(self.of("a", "NODE_APP_INSTANCE")[-1], (6, "4"))

    def test_instance_var_and_increment_var(self):
        self.home.start_apps([self.app("a", instances=3, instance_var="WORKER", increment_var="PORT", env={"PORT": 4000}),
                              self.app("b", instances=2, increment_var="N")])
        self.assertEqual(self.of("a", "WORKER", "NODE_APP_INSTANCE", "PORT"),
                         [(0, "0", None, "4000"), (1, "1", None, "4001"), (2, "2", None, "4002")])
        self.assertEqual(self.of("b", "N"), [(3, "0"), (4, "1")])
        # A restart from the file leaves each its own; PM2 gives all the first.
        self.home.start_apps([self.app("a", instances=3, instance_var="WORKER", increment_var="PORT", env={"PORT": 5000})])
        self.assertEqual(self.of("a", "PORT"), [(0, "5000"), (1, "5001"), (2, "5002")])
        self.home.ok("delete", "0")
        self.home.ok("scale", "a", "+2")
        self.assertEqual(self.of("a", "PORT"), [(1, "5001"), (2, "5002"), (5, "5000"), (6, "5003")])

    def test_append_env_to_name(self):
        path = self.home.config([self.app("a", append_env_to_name=True, env_production={"X": "1"}), self.app("b")])
        self.home.ok("start", path, "--env", "production")
        self.home.ok("start", path, "--only", "a")
        self.assertEqual(sorted(p["name"] for p in self.home.jlist()), ["a", "a-production", "b"])

    def test_a_name_in_several_namespaces(self):
        self.home.start_apps([self.app("a"), self.app("a", namespace="two"), self.app("c", namespace="two")])
        self.assertEqual([(p["name"], p["pm2_env"]["namespace"]) for p in self.home.jlist()],
                         [("a", "default"), ("a", "two"), ("c", "two")])
        self.assertEqual(self.of("a", "NODE_APP_INSTANCE"), [(0, "0"), (1, "1")])  # counted by the name alone
        self.home.ok("stop", "two")
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.jlist()], ["online", "stopped", "stopped"])
        self.home.ok("restart", "a")  # a name means all of it
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.jlist()], ["online", "online", "stopped"])

    def test_scale_of_fork_apps(self):
        self.home.start_apps([self.app("a", instances=2)])
        self.home.ok("scale", "a", "5")
        self.assertEqual({p["pm2_env"]["exec_mode"] for p in self.home.procs("a")}, {"fork_mode"})
        self.home.ok("scale", "a", "3")
        self.assertEqual([p["pm_id"] for p in self.home.procs("a")], [2, 3, 4])
        self.home.ok("scale", "a", "-1")
        self.assertEqual([p["pm_id"] for p in self.home.procs("a")], [3, 4])
        self.assertIn("nothing to do", self.home.fails(1, "scale", "a", "2").err)
        self.assertIn("lowest ids go", self.home.ok("scale", "--help").out)

    def test_another_number_in_the_file_adds_and_removes(self):
        self.home.start_apps([self.app("a", instances=2)])
        for n, ids in ((3, [0, 1, 2]), (2, [1, 2]), (4, [1, 2, 3, 4]), (1, [4])):
            self.home.start_apps([self.app("a", instances=n)])
            self.assertEqual([p["pm_id"] for p in self.home.procs("a")], ids)
            self.assertEqual({p["pm2_env"]["instances"] for p in self.home.procs("a")}, {n})
            wait_until(lambda: all(p["pm2_env"]["status"] == "online" for p in self.home.procs("a")), what="all online")


if __name__ == "__main__":
    main()
