"""Launcher that makes a child process die with its parent, even after a kill -9 of the parent.

Run as a script: `parent_death.py PARENT COMMAND…`. On Linux it asks the kernel for SIGKILL at the death of
its parent (PR_SET_PDEATHSIG, which survives exec) and then becomes the command, so that no process stays in
between. Elsewhere it stays, forwards signals, and checks four times a second whether its parent is alive. A
preexec_fn would do the first part without a launcher, but it is not safe in a program with threads.
"""

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.25


def exec_tied_to_parent(parent_pid: int, command: list[str]) -> None:
    """Replace this process with the command, to be killed when the parent dies. Linux only.

    The kernel watches the thread that forked this process, not the parent process: start children from a
    thread that lives as long as they do, such as that of an event loop.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent_pid:  # it may have died before the kernel listened
        os.execvp(command[0], command)


def run_tied_to_parent(parent_pid: int, command: list[str]) -> int:
    """Run the command, kill it if the parent dies; return its exit code, negative for a signal. Portable."""
    child = subprocess.Popen(command)

    def forward_signal(signal_number: int, _frame: FrameType | None) -> None:
        child.send_signal(signal_number)

    signal.signal(signal.SIGTERM, forward_signal)
    signal.signal(signal.SIGINT, forward_signal)
    while True:
        try:
            return child.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent_pid:
                child.kill()


if __name__ == "__main__":
    if sys.platform == "linux":
        exec_tied_to_parent(int(sys.argv[1]), sys.argv[2:])
    else:
        sys.exit(abs(run_tied_to_parent(int(sys.argv[1]), sys.argv[2:])))
