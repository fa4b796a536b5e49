"""Here is the leash: a process between us and a child, so that the child dies when we do.

Run as a script, `leash.py PARENT COMMAND…`. On Linux it asks the kernel for SIGKILL at its parent's
death and becomes the command (the wish survives exec), so that nothing stays in between. Elsewhere it
stays, passes signals on, and looks four times a second whether its parent is still there. Both hold
after a kill -9 of the parent, when no code of ours runs any more. A preexec_fn would do the first part
without a process, but it is not safe in a program with threads.
"""

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.25


def become(parent: int, command: list[str]) -> None:
    """Linux. The kernel watches the thread that forked us, not the process: parts are to be started
    from a thread that lives as long as they do, as that of an event loop does."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # it may have died before the kernel listened
        os.execvp(command[0], command)


def walk(parent: int, command: list[str]) -> int:
    """Anywhere. Returns the command's exit code, negative for a signal."""
    child = subprocess.Popen(command)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    while True:
        try:
            return child.wait(timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.kill()


if __name__ == "__main__":
    if sys.platform == "linux":
        become(int(sys.argv[1]), sys.argv[2:])
    else:
        sys.exit(abs(walk(int(sys.argv[1]), sys.argv[2:])))
