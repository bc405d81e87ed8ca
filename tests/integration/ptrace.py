"""Stopping a child of the keeper right after its fork, by ptrace: the moment in which nobody knows it yet."""

import ctypes
import os
import signal

PTRACE_CONT = 7
PTRACE_DETACH = 17
PTRACE_SYSCALL = 24
PTRACE_GETEVENTMSG = 0x4201
PTRACE_SEIZE = 0x4206
TRACE_ANY_FORK = 0x2 | 0x4 | 0x8  # fork, vfork, clone
WALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid, data=0):
    if _libc.ptrace(request, pid, None, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def seize(pid):
    """Attaches without stopping. OSError when that is not allowed here."""
    _ptrace(PTRACE_SEIZE, pid, TRACE_ANY_FORK)


def wait_fork(pid):
    """Waits for the next fork of `pid`; both are stopped then. Returns the child."""
    while True:
        _, status = os.waitpid(pid, WALL)
        assert os.WIFSTOPPED(status), "the traced process ended: %#x" % status
        if status >> 16:
            break
        _ptrace(PTRACE_CONT, pid, os.WSTOPSIG(status))
    message = ctypes.c_ulong()
    _ptrace(PTRACE_GETEVENTMSG, pid, ctypes.addressof(message))
    os.waitpid(message.value, WALL)
    return message.value


def go_on_until(pid, cond):
    """Lets a stopped process go from system call to system call until the condition holds; it is stopped then."""
    while not cond():
        _ptrace(PTRACE_SYSCALL, pid)
        _, status = os.waitpid(pid, WALL)
        assert os.WIFSTOPPED(status), "the traced process ended: %#x" % status


def kill(pid):
    """SIGKILL for a traced process; its end must be taken here before its parent sees it."""
    os.kill(pid, signal.SIGKILL)
    while os.WIFSTOPPED(os.waitpid(pid, WALL)[1]):
        pass


def detach(pid):
    """Lets it go on."""
    _ptrace(PTRACE_DETACH, pid)
