"""What one turn of the controller's loop owes Redis after its commit.

Everything here may be done twice: what a crash leaves undone, the next controller finds in the store and does again.
"""

from __future__ import annotations

from collections import defaultdict

from besom.broker.journal import Entry, Journal
from besom.broker.ledger import Ledger, Retry
from besom.failpoint import failpoint
from besom.strategies import Params

__all__ = ["Owed"]


class Owed:
    """Collected inside the transaction, paid after it."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        """What the journal held, all of it applied."""
        self.issue: dict[str, list[tuple[int, Params]]] = defaultdict(list)
        self.replan: dict[str, list[tuple[int, Params]]] = defaultdict(list)
        self.forget: dict[str, list[int]] = defaultdict(list)
        self.retry: dict[str, list[Retry]] = defaultdict(list)
        self.promote: dict[str, list[Retry]] = defaultdict(list)
        """Trials that go on after a stopping rule had ended them, the most urgent first."""
        self.removed: list[str] = []
        self.stops: dict[str, tuple[int, ...]] = {}
        """Running trials that a stopping rule ends."""
        self.stopping: list[str] = []
        """Sweeps that take no more trials."""
        self.finished: list[str] = []
        self.wake: list[str] = []
        """Sweeps whose idle agents should look around."""
        self.writers: dict[str, str] = {}
        """Writer to its run, for the batches of this turn."""
        self.closed_runs: list[str] = []

    def pay(self, epoch: int, ledger: Ledger, journal: Journal, recorded: dict[str, int]) -> None:
        """Do it; `recorded` is each writer's last batch in the store.

        Raises:
            Fenced: another controller has taken over, and will do it.
        """
        for sweep, issued in self.issue.items():
            failpoint("controller.before-issue")
            ledger.issue(epoch, sweep, issued)
            failpoint("controller.after-issue")
        for sweep, replanned in self.replan.items():
            ledger.replan(epoch, sweep, replanned)
            failpoint("controller.after-replan")
        for sweep, numbers in self.forget.items():
            ledger.forget(epoch, sweep, numbers)
            failpoint("controller.after-forget")
        for sweep, again in self.retry.items():
            ledger.retry(epoch, sweep, again)
            failpoint("controller.after-retry")
        for sweep, promoted in self.promote.items():
            failpoint("controller.before-promote")
            ledger.retry(epoch, sweep, promoted, in_front=True)
            failpoint("controller.after-promote")
        for sweep, stopped in self.stops.items():
            ledger.stop(epoch, sweep, stopped)
            failpoint("controller.after-stop")
        for sweep in self.stopping:
            ledger.set_state(sweep, "stopping", epoch)
            failpoint("controller.after-stopping")
        for sweep in self.removed:
            ledger.drop(epoch, sweep)
            failpoint("controller.after-drop")
        for sweep in self.finished:
            ledger.set_state(sweep, "finished", epoch)
            failpoint("controller.after-finished")
        if self.entries or self.closed_runs:
            last = self.entries[-1] if self.entries else None
            failpoint("controller.before-settle")
            kept = {(self.writers[writer], writer): seq for writer, seq in recorded.items()}
            journal.settle(epoch, last, kept, self.closed_runs)
            failpoint("controller.after-settle")
