"""Hooks: commands and webhooks at events, of an app (on) and of all (pm set hooks:EVENT)."""

import http.server
import json
import os
import threading
import unittest

from harness import IS_ROOT, NOBODY, PmTest, main, read_file, wait_until


class Receiver:
    """An http server that keeps what is posted to it, and answers with the codes given, the last one for good."""

    def __init__(self, codes=(200,)):
        receiver = self
        self.codes = list(codes)
        self.posts = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.send_response(receiver.codes.pop(0) if len(receiver.codes) > 1 else receiver.codes[0])
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Hooks(PmTest):
    def setUp(self):
        super().setUp()
        self.home = self.new_home()
        self.out = os.path.join(self.home.work, "told")

    def app(self, on, **keys):
        self.home.start_apps([dict({"name": "app", "script": "sleep", "args": "1000", "interpreter": "none", "on": on}, **keys)])

    def told(self):
        return [json.loads(line) for line in read_file(self.out).splitlines()]

    def keep(self):
        return "printf '%%s\\n' \"$(cat)\" >> '%s'" % self.out

    def receiver(self, *codes):
        receiver = Receiver(codes or (200,))
        self.addCleanup(receiver.close)
        return receiver

    def failed(self, text):
        wait_until(lambda: text in self.home.log(), what=lambda: "%r in %s" % (text, self.home.log()[-2000:]))
        with self.home.client() as c:
            stored = c.call("events", {"lines": 1000})["events"]
        return [e for e in stored if e["event"] == "hook failed"]


class Commands(Hooks):
    def test_the_event_comes_on_stdin_and_in_variables(self):
        self.app({"online": self.keep(), "exit": [self.keep(), "echo $PM_EVENT,$name,$pm_id,$(pwd) > vars"]}, cwd=self.home.work)
        wait_until(self.told)
        self.home.ok("stop", "app")
        wait_until(lambda: len(self.told()) == 2 and read_file(os.path.join(self.home.work, "vars")).endswith("\n"))
        online, exited = self.told()
        self.assertEqual((online["event"], online["name"], online["id"]), ("online", "app", 0))
        self.assertEqual((exited["event"], exited["signal"], exited["manually"]), ("exit", 2, True))
        self.assertNotIn("skipped", exited)
        self.assertEqual(read_file(os.path.join(self.home.work, "vars")), "exit,app,0,%s\n" % os.path.realpath(self.home.work))

    def test_hooks_of_all_apps_are_settings(self):
        self.home.ok("set", "hooks:online", self.keep())
        self.home.ok("set", "hooks.stop", self.keep())
        self.home.start("plain", ["sleep", "1000"])
        wait_until(lambda: len(self.told()) == 1)
        self.home.ok("unset", "hooks:online")
        self.home.ok("restart", "plain")
        self.home.ok("stop", "plain")
        wait_until(lambda: len(self.told()) == 2)
        self.assertEqual([e["event"] for e in self.told()], ["online", "stop"])

    def test_what_cannot_be_a_hook_is_refused(self):
        self.assertIn("there is no such event", self.home.fails(1, "set", "hooks:onlime", "true").err)
        self.assertIn("hooks:limit", self.home.fails(1, "set", "hooks:memory", "true").err)
        self.assertIn("from \"1s\" to \"10m\"", self.home.fails(1, "set", "hooks:timeout", "1ms").err)
        self.assertIn("no host", self.home.fails(1, "set", "hooks:exit", "http://").err)
        for on, words in (({"onlin": "x"}, 'did you mean "online"'), ({"zzzzzzzz": "x"}, "there are start, online"),
                          ({"exit": 5}, "on.exit: expected a command"), ({"exit": ["a", {}]}, "on.exit: expected a command"),
                          ({"exit": " "}, "found nothing"), ({"exit": "http://a b"}, "blanks"), ("x", "a mapping of events")):
            config = self.home.config([{"name": "bad", "script": "sleep", "on": on}])
            self.assertIn(words, self.home.fails(1, "start", config).err)

    def test_yaml_names_the_key_on(self):
        path = self.home.file("pm.yaml", "apps:\n  - name: y\n    script: sleep\n    args: '1000'\n    interpreter: none\n"
                                         "    on:\n      online: touch %s\n      memory: [a, b]\n" % self.out)
        self.home.ok("start", path)
        wait_until(lambda: os.path.exists(self.out))
        self.assertEqual(self.home.proc("y")["pm2_env"]["on"], ["online=touch %s" % self.out, "limit=a", "limit=b"])

    def test_a_failure_is_an_event_and_in_the_log(self):
        self.app({"online": "echo first; echo the last word >&2; exit 3"})
        failed = self.failed("the last word")
        self.assertEqual(len(failed), 1)
        self.assertEqual(failed[0]["name"], "app")
        self.assertEqual(failed[0]["text"], 'on online: "echo first; echo the last word >&2; exit 3": exit code 3: the last word')

    def test_one_that_takes_too_long_is_ended_with_its_children(self):
        self.home.ok("set", "hooks:timeout", "1s")
        self.app({"online": "sleep 999 & echo $! > '%s'; wait" % self.out})
        failed = self.failed("was not done within 1 s")
        for pid in map(int, read_file(self.out).split()):
            wait_until(lambda: not os.path.exists("/proc/%d" % pid), what="pid %d gone" % pid)
        self.assertEqual(len(failed), 1)

    def test_many_events_are_counted_and_told_later_not_run(self):
        self.app({"exit": self.keep()}, script="/bin/false", args=[], max_restarts=15, autostart=False)
        self.home.pm("start", "app")
        self.home.wait_status("app", "errored")
        wait_until(lambda: len(self.told()) == 10)
        with self.home.client() as c:
            exits = [e for e in c.call("events", {"lines": 1000})["events"] if e["event"] == "exit"]
        self.assertGreater(len(exits), 10)
        self.assertEqual(len(self.told()), 10)

    def test_the_daemon_does_not_wait(self):
        gate = os.path.join(self.home.work, "gate")
        on = {"start": ["echo $pm_id >> '%s'; while [ ! -e '%s' ]; do sleep 0.1; done" % (self.out, gate)] * 3}
        self.app(on, instances=4)
        self.home.ok("stop", "app")
        self.assertEqual([p["pm2_env"]["status"] for p in self.home.procs("app")], ["stopped"] * 4)
        wait_until(lambda: len(read_file(self.out).split()) == 8)
        self.assertEqual(len(read_file(self.out).split()), 8)  # the others wait
        self.home.file("gate", "")
        wait_until(lambda: len(read_file(self.out).split()) == 12)
        self.assertEqual(sorted(read_file(self.out).split()), sorted("0123" * 3))
        self.assertNotIn("hook failed", self.home.log())

    def test_a_hook_outlives_the_engine(self):
        gate = os.path.join(self.home.work, "gate")
        self.app({"stop": "while [ ! -e '%s' ]; do sleep 0.1; done; echo done > '%s'" % (gate, self.out)})
        self.home.ok("stop", "app")
        self.home.ok("kill")
        self.home.file("gate", "")
        wait_until(lambda: read_file(self.out) == "done\n")

    def test_large_output_does_no_harm(self):
        self.app({"online": "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end; exit 1"})
        self.assertTrue(self.failed("exit code 1: end"))

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_hooks_of_an_app_run_as_its_user(self):
        self.app({"online": "echo $(id -u) $(id -G) >&2; false"}, uid=str(NOBODY), cwd="/")
        self.assertTrue(self.failed("exit code 1: %d " % NOBODY))

    def test_a_folder_that_is_gone_is_told(self):
        folder = os.path.join(self.home.work, "gone")
        os.mkdir(folder)
        self.app({"stop": "true"}, cwd=folder)
        os.rmdir(folder)
        self.home.ok("stop", "app")
        self.failed("can't cd to")


class Webhooks(Hooks):
    def test_the_event_is_posted(self):
        receiver = self.receiver()
        self.app({"online": receiver.url + "/a?b=c", "exit": [receiver.url + "/exit"]})
        wait_until(lambda: receiver.posts)
        self.home.ok("stop", "app")
        wait_until(lambda: len(receiver.posts) == 2)
        path, kind, event = receiver.posts[0]
        self.assertEqual((path, kind, event["event"], event["name"]), ("/a?b=c", "application/json", "online", "app"))
        self.assertEqual((receiver.posts[1][0], receiver.posts[1][2]["event"]), ("/exit", "exit"))

    def test_it_is_tried_again_once(self):
        receiver = self.receiver(500, 204)
        self.app({"online": receiver.url})
        wait_until(lambda: len(receiver.posts) == 2)
        self.assertEqual(receiver.posts[0], receiver.posts[1])
        self.assertNotIn("hook failed", self.home.log())

    def test_failures_are_told_without_the_secret_part_of_the_url(self):
        receiver = self.receiver(503)
        self.app({"online": receiver.url.replace("//", "//user:geheim@") + "/geheim"})
        failed = self.failed("returned error: 503")
        self.assertEqual(len(receiver.posts), 2)
        self.assertIn("on online: %s: exit code 22" % receiver.url, failed[0]["text"])
        self.assertNotIn("geheim", self.home.log())

    def test_an_answer_that_sends_elsewhere_is_a_failure(self):
        receiver = self.receiver(302)
        self.app({"online": receiver.url})
        self.failed("the answer was HTTP 302")

    def test_nobody_listens(self):
        receiver = self.receiver()
        url = receiver.url.replace(receiver.url.rsplit(":", 1)[1], "1")
        self.app({"online": url})
        self.failed("exit code 7")


if __name__ == "__main__":
    main()
