"""pm monit in a real terminal (tmux): keys are sent, the screen is read."""

import os
import re
import signal
import subprocess

from harness import ASAN, PmTest, alive, child, main, proc_cmdline, send_signal, wait_until

PROMPT = "shell> "
NOISY = "#!/bin/sh\necho 'hello データ'\nprintf 'evil \\033[2J\\033]0;title\\007 end\\n'\nwhile read -r l; do echo \"got $l\"; done\nexec sleep 1000\n"


class Monit(PmTest):
    columns = 80
    rows = 24

    def setUp(self):
        super().setUp()
        self.home.start_apps([{"name": n, "script": child("silent")[0]} for n in ("web", "worker", "データ処理")] +
                             [{"name": "noisy", "script": self.home.file("noisy.sh", NOISY)}])
        self.socket = os.path.join(self.home.tmp, "tmux")
        shell = "PS1='%s' exec bash --norc --noprofile" % PROMPT
        env = dict(self.home.env, PATH=self.home.bin_dir + ":" + self.home.env["PATH"])
        self.addCleanup(self.end_tmux)
        subprocess.run(["tmux", "-u", "-S", self.socket, "-f", "/dev/null", "new-session", "-d", "-x", str(self.columns),
                        "-y", str(self.rows), shell], env=env, cwd=self.home.work, check=True)
        self.server = int(self.tmux("display", "-p", "#{pid}"))
        self.wait_line(r"^shell>")

    def end_tmux(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], stderr=subprocess.DEVNULL, check=False)
        wait_until(lambda: not alive(self.server) and not self.monits(), what="tmux and pm monit gone")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], stdout=subprocess.PIPE, check=True).stdout.decode()

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def wait_line(self, pattern, timeout=20):
        return wait_until(lambda: re.search(pattern, self.screen(), re.M), timeout,
                          lambda: "%r on the screen:\n%s" % (pattern, self.screen()))

    def wait_gone(self, pattern):
        wait_until(lambda: not re.search(pattern, self.screen(), re.M), 20, lambda: "no %r on the screen:\n%s" % (pattern, self.screen()))

    def monits(self):
        mine = b"PM_TEST_HOME=" + self.home.marker.encode()
        found = []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open("/proc/%d/environ" % pid, "rb") as f:
                    ours = mine in f.read().split(b"\0")
            except OSError:
                continue
            if ours and alive(pid) and proc_cmdline(pid)[1:2] == ["monit"]:
                found.append(pid)
        return sorted(found)

    def open(self):
        self.keys("clear; stty -g > before; pm monit; echo code $?", "Enter")
        self.wait_line(r"pm monit +4 of 4 online")
        self.assertEqual(self.tmux("display", "-p", "#{alternate_on}").strip(), "1")

    def check_restored(self):
        """The shell's screen, its settings, a cursor and no mouse reports."""
        self.wait_line(r"^shell>")
        wait_until(lambda: self.tmux("display", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}").split() == ["0", "1", "0"],
                   what=lambda: "the terminal as before: " + self.tmux("display", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"))
        wait_until(lambda: not self.monits(), what="pm monit and its guard gone")
        self.keys("", "Enter")
        self.keys("stty -g > after; echo compared $(cmp before after && echo same)", "Enter")
        self.wait_line(r"^compared same")

    def order(self):
        return [m.group(1) for m in re.finditer(r"^(?:online|stopped|launching|stopping)\s+\d+ (\S+) ", self.screen(), re.M)]

    def test_list_selection_filter_sort(self):
        self.open()
        self.assertEqual(self.order(), ["noisy", "web", "worker", "データ処理"])
        self.wait_line(r"^log of noisy")
        self.wait_line(r"hello データ")
        self.wait_line(r"evil \^\[\[2J.*end")
        self.keys("j")
        self.wait_line(r"^log of web")
        self.keys("Down")
        self.wait_line(r"^log of worker")
        self.keys("End")
        self.wait_line(r"^log of データ処理")
        self.keys("k", "Home")
        self.wait_line(r"^log of noisy")
        self.keys("s")
        self.wait_line(r"by id")
        self.assertEqual(self.order(), ["web", "worker", "データ処理", "noisy"])
        self.keys("s")
        self.wait_line(r"by restarts")
        self.keys("/")
        self.wait_line(r"^filter: _")
        self.keys("-l", "wo")
        wait_until(lambda: self.order() == ["worker"], what=self.screen)
        self.keys("Enter")
        self.wait_line(r"filter: wo")
        self.wait_line(r"^log of worker")
        self.keys("Escape")
        wait_until(lambda: len(self.order()) == 4, what=self.screen)
        self.keys("?")
        self.wait_line(r"restart, reload, stop")
        self.keys("x")
        self.wait_line(r"^status +id")
        self.keys("q")
        self.wait_line(r"^code 0")
        self.check_restored()

    def test_restart_stop_reload(self):
        self.open()
        self.keys("j")
        self.wait_line(r"^log of web")
        self.keys("r")
        self.wait_line(r"restart web \(0\): done")
        self.home.wait_restarts("web", 1)
        self.keys("S")
        self.wait_line(r"stop web \(0\)\? y/n")
        self.keys("n")
        self.wait_line(r"nothing was stopped")
        self.keys("S")
        self.wait_line(r"y/n")
        self.keys("y")
        self.wait_line(r"stop web \(0\): done")
        self.wait_line(r"^stopped +0 web")
        self.assertEqual(self.home.status("web"), "stopped")
        self.keys("R")
        self.wait_line(r"reload web \(0\): ")
        self.keys("q")
        self.check_restored()

    def test_log_follow_and_search(self):
        self.open()
        self.wait_line(r"^log of noisy, following")
        for i in range(30):
            self.home.ok("send", "noisy", "word%d%s" % (i, " needle" if i == 3 else ""))
        self.wait_line(r"got word29")
        self.keys("l", "/")
        self.wait_line(r"^search the log")
        self.keys("-l", "needle")
        self.keys("Enter")
        self.wait_line(r"got word3 needle")
        self.assertNotIn("word29", self.screen())
        self.keys("n")
        self.wait_line(r"no older line")
        self.keys("N")
        self.wait_line(r"no newer line")
        self.home.ok("send", "noisy", "later")
        self.keys("f")
        self.wait_line(r"got later")
        self.keys("PPage")
        self.wait_gone(r"got later")
        self.keys("z")
        self.wait_gone(r"^status +id")
        self.keys("z", "q")
        self.check_restored()

    def test_resizes_and_says_when_it_is_too_small(self):
        self.open()
        self.tmux("resize-window", "-x", "140", "-y", "40")
        self.wait_line(r"^status.*cpu was.*noisy")
        self.wait_line(r"memory 0-")
        self.tmux("resize-window", "-x", "30", "-y", "8")
        self.wait_line(r"^too small: 40x12 is needed")
        self.tmux("resize-window", "-x", "80", "-y", "24")
        self.wait_line(r"pm monit +4 of 4")
        self.keys("q")
        self.check_restored()

    def test_mouse(self):
        self.open()
        self.wait_line(r"^log of noisy")
        self.keys("-l", "\x1b[<0;20;5M\x1b[<0;20;5m" if "1" in self.tmux("display", "-p", "#{mouse_sgr_flag}") else "\x1b[M \x34\x25")
        self.wait_line(r"^log of worker")
        self.keys("q")
        self.check_restored()

    def test_signals_give_the_terminal_back(self):
        for sig, code in ((signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)):
            self.open()
            send_signal(self.monits()[0], sig)
            self.wait_line(r"^code %d" % code)
            self.check_restored()
        self.open()
        self.keys("C-c")
        self.wait_line(r"^code 0")
        self.check_restored()

    def test_killed_gives_the_terminal_back(self):
        for sig in (signal.SIGKILL, signal.SIGSEGV):
            self.open()
            pids = wait_until(lambda: len(self.monits()) == 2 and self.monits(), what="pm monit and its guard")
            main_pid = next(p for p in pids if self.comm(p) == "pm")
            send_signal(main_pid, sig if not ASAN else signal.SIGKILL)
            self.wait_line(r"monit was killed; the terminal was given back")
            self.keys("Enter")  # the first prompt may have been printed on the screen that is gone
            self.check_restored()

    @staticmethod
    def comm(pid):
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()

    def test_suspended_and_resumed(self):
        self.open()
        self.keys("C-z")
        self.wait_line(r"Stopped")
        self.assertEqual(self.tmux("display", "-p", "#{alternate_on}").strip(), "0")
        self.keys("fg", "Enter")
        self.wait_line(r"pm monit +4 of 4 online")
        self.keys("q")
        self.check_restored()

    def test_daemon_replaced_and_gone(self):
        self.home.engine_may_die = True
        self.open()
        self.home.ok("update")
        self.wait_line(r"the daemon was replaced")
        self.wait_line(r"pm monit +4 of 4 online")
        self.home.kill_engine()
        self.wait_line(r"the daemon was replaced|connection to the daemon broke")
        self.wait_line(r"pm monit +4 of 4 online")
        self.keys("Escape")
        self.home.ok("kill")
        self.wait_line(r"no daemon runs any more")
        self.home.start("again", child("silent"))
        self.wait_line(r"1 of 1 online")
        self.keys("q")
        self.wait_line(r"^code 0")
        self.check_restored()

    def test_no_color_and_no_utf8(self):
        self.keys("NO_COLOR=1 LANG=C LC_ALL=C pm monit", "Enter")
        self.wait_line(r"pm monit +4 of 4")
        text = self.tmux("capture-pane", "-p", "-e")
        self.assertNotRegex(text, r"\x1b\[[0-9;]*3[0-7]m")
        self.assertTrue(text.isascii(), text)
        self.keys("q")
        self.wait_line(r"^shell>")

    def test_aliases(self):
        for name in ("dashboard", "dash", "imonit"):
            self.keys("clear; pm %s" % name, "Enter")
            self.wait_line(r"pm monit +4 of 4 online")
            self.keys("q")
            self.wait_gone(r"pm monit +4")


class NoTerminal(PmTest):
    def test_refuses_politely(self):
        self.home.start("a", child("silent"))
        result = self.home.fails(2, "monit")
        self.assertIn("pm monit needs a terminal; pm list --watch", result.err)
        self.assertEqual(len(result.err.splitlines()), 1)

    def test_without_a_daemon(self):
        self.assertIn("no daemon runs", self.home.fails(1, "monit").err)


if __name__ == "__main__":
    main()
