"""What one turn of the controller's loop owes Redis after its commit.

Everything here may be done twice: what a crash leaves undone, the next controller finds in the store and does again.
"""

from __future__ import annotations

from collections import defaultdict

from besom.broker.journal import Entry, Journal
from besom.broker.ledger import Ledger, Retry
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
        self.removed: list[str] = []
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
            ledger.issue(epoch, sweep, issued)
        for sweep, replanned in self.replan.items():
            ledger.replan(epoch, sweep, replanned)
        for sweep, numbers in self.forget.items():
            ledger.forget(epoch, sweep, numbers)
        for sweep, again in self.retry.items():
            ledger.retry(epoch, sweep, again)
        for sweep in self.removed:
            ledger.drop(epoch, sweep)
        for sweep in self.finished:
            ledger.set_state(sweep, "finished", epoch)
        if self.entries or self.closed_runs:
            last = self.entries[-1] if self.entries else None
            kept = {(self.writers[writer], writer): seq for writer, seq in recorded.items()}
            journal.settle(epoch, last, kept, self.closed_runs)
