"""A child process: an agent that trains the example's network, for sweep after sweep as it is told.

Reads: ids of sweeps, one a line.  Says: that the agent has returned.
"""

from __future__ import annotations

import sys

import besom
from benchmarks.machine import say
from examples.digits.train import main as train


def main() -> None:
    say(ready=True)
    for line in sys.stdin:
        besom.agent(line.strip(), train)
        say(done=True)


if __name__ == "__main__":
    main()
