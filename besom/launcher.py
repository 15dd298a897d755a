"""Starts a program that dies with its parent, or one that outlives it. A script, run with `python -S -E`.

    launcher.py bound SIGNAL PARENT_PID PROGRAM [ARGUMENT...]    the kernel sends SIGNAL when the parent's thread ends
    launcher.py detached PROGRAM [ARGUMENT...]                   forks, prints the new process id, returns

Only the standard library, and little of it: it stands between an agent and every command trial.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number: int, parent: int) -> None:
    """Ask the kernel for `signal_number` when the thread that started this process ends (Linux; elsewhere nothing)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the request
            os.kill(os.getpid(), signal_number)


def _execute(arguments: list[str]) -> None:
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: {error.strerror}\n")
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def main(arguments: list[str]) -> None:
    """See the head of this file."""
    if arguments[0] == "bound":
        die_with_parent(int(arguments[1]), int(arguments[2]))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _execute(arguments[3:])
    child = os.fork()
    if child:
        sys.stdout.write(f"{child}\n")
        return
    os.setsid()
    _execute(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
