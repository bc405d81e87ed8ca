"""Who an app runs as, and a user database that does not answer."""

import os
import pwd
import time
import unittest

from harness import CHILDREN, IS_ROOT, PmTest, main, proc_environ, wait_until

PRELOAD = os.path.join(CHILDREN, "slow_users.so")
NOBODY = pwd.getpwnam("nobody")


def app(name, **options):
    return dict({"name": name, "script": "/bin/sleep", "args": ["1000"], "interpreter": "none"}, **options)


class Users(PmTest):
    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_as_nobody(self):
        self.home.start_apps([app("a", uid="nobody", gid=str(NOBODY.pw_gid))])
        pid = self.home.pid("a")
        self.assertEqual(os.stat("/proc/%d" % pid).st_uid, NOBODY.pw_uid)
        self.assertEqual([v for v in proc_environ(pid) if v.startswith(b"HOME=")], [b"HOME=" + NOBODY.pw_dir.encode()])
        with self.home.client() as c:
            env = c.call("process.env", {"selector": "a"})["env"]
        self.assertEqual((env["USER"], env["HOME"]), ("nobody", NOBODY.pw_dir))

    def test_interpreter_is_looked_for_at_each_start(self):
        """Where it is found first then; and that it is nowhere is told."""
        tool = "#!/bin/sh\nexec sleep 1000 # %s\n"
        script = self.home.file("tool.xyz", "")
        first, second = (self.home.file("%s/pm-tool" % d, tool % d) for d in ("first", "second"))
        os.rename(first, first + ".later")
        path = ":".join([os.path.dirname(first), os.path.dirname(second), self.home.env["PATH"]])
        self.home.ok("start", script, "--name", "a", "--interpreter", "pm-tool", env={"PATH": path})
        os.rename(first + ".later", first)
        os.unlink(second)
        self.home.ok("restart", "a")
        os.unlink(first)
        result = self.home.fails(1, "restart", "a")
        self.assertIn('interpreter "pm-tool" is not on the PATH of the app', result.out + result.err)


@unittest.skipUnless(os.path.exists(PRELOAD), "no preloading in this build")
class Hanging(PmTest):
    """What another app, a stop and the daemon's end do not wait for."""

    def setUp(self):
        super().setUp()
        self.flag = self.home.file("hang", "")
        self.home.env.update(LD_PRELOAD=PRELOAD, PM_TEST_USERS_HANG=self.flag)

    def begin(self, *apps):
        """Starts apps whose start cannot come to an end yet."""
        command = self.home.popen("start", self.home.config(list(apps)))
        wait_until(lambda: all(self.home.procs(a["name"]) for a in apps), what="the apps are there")
        for a in apps:
            self.assertEqual(self.home.status(a["name"]), "launching")
        return command

    def test_other_apps_and_the_answer_in_the_end(self):
        me = pwd.getpwuid(os.geteuid()).pw_name
        command = self.begin(app("slow", uid=me), app("slow2", uid=me))
        self.home.start("quick", ["/bin/sleep", "1000"], "--interpreter", "none")
        self.assertEqual(self.home.status("quick"), "online")
        self.home.ok("restart", "quick")
        self.assertEqual(self.home.status("slow"), "launching")
        wait_until(lambda: "has not answered" in self.home.log(), what="the log tells")
        os.unlink(self.flag)
        self.assertEqual(self.home.finish(command).code, 0)
        self.assertEqual(self.home.status("slow"), "online")
        self.assertEqual(self.home.status("slow2"), "online")

    def test_stop_delete_and_restart(self):
        command = self.begin(app("a", uid="nobody"), app("b", uid="nobody"))
        self.home.ok("stop", "a")
        self.assertEqual(self.home.status("a"), "stopped")
        self.home.ok("delete", "b")
        self.assertEqual([p["name"] for p in self.home.jlist()], ["a"])
        self.home.finish(command)
        again = self.home.popen("restart", "a")
        self.home.wait_status("a", "launching")
        self.home.ok("delete", "a")
        self.home.finish(again)

    def test_a_new_engine_asks_again(self):
        me = pwd.getpwuid(os.geteuid()).pw_name
        command = self.begin(app("a", uid=me))
        self.home.replace_engine()
        self.home.finish(command)
        self.assertEqual(self.home.status("a"), "launching")
        os.unlink(self.flag)
        self.home.wait_status("a", "online")

    def test_the_daemon_ends(self):
        command = self.begin(app("a", uid="nobody"))
        begin = time.monotonic()
        self.home.ok("kill")
        self.home.wait_no_daemon()
        self.assertLess(time.monotonic() - begin, 25)  # well before the look-up would be given up
        self.home.finish(command)


if __name__ == "__main__":
    main()
