"""The trials that an agent holds, from the claim to the report: claimed, kept alive, and ended exactly once.

Used by the thread that takes trials, by those that report endings, and by the one that ends a trial which does not
come back.
"""

from __future__ import annotations

import copy
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from besom.agent.beat import Beat
from besom.agent.limits import Tally
from besom.agent.signals import GOODBYE_SECONDS, Signals
from besom.agent.sources import UNKNOWN_SECONDS
from besom.broker.connection import Connection
from besom.broker.ledger import Ending, Ledger
from besom.errors import Unreachable
from besom.messages import Claim

__all__ = ["Held"]

log = logging.getLogger("besom")

_POLL_SECONDS: Final = 0.1


class Held:
    """Claims, reports and releases for one agent.

    Args:
        connection: Redis.
        agent: The agent's id.
        beat: Keeps the leases.
        tally: Told of claims and endings.
        signals: Whether there is time to wait for Redis.
        say: Prints a line for the user.
        is_watched: Whether a sweep has a stopping rule.
    """

    def __init__(
        self,
        connection: Connection,
        agent: str,
        beat: Beat,
        tally: Tally,
        signals: Signals,
        say: Callable[[str], None],
        is_watched: Callable[[str], bool] = lambda sweep: False,
    ) -> None:
        hurried = copy.copy(connection)
        hurried.patience = min(connection.patience, GOODBYE_SECONDS)
        self._patient, self._hurried = Ledger(connection), Ledger(hurried)
        self._agent = agent
        self._beat = beat
        self._tally = tally
        self._signals = signals
        self._say = say
        self._is_watched = is_watched
        self._lock = threading.Lock()
        self._over: set[str] = set()  # tokens of attempts that were ended while they still ran
        self.last_entry = ""
        """Journal id of the last report."""

    def claim(self, sweep: str, count: int) -> tuple[str, list[Claim]]:
        """The sweep's state and up to `count` trials, held from now on. From one thread: a nonce tells a repeat."""
        state, claims = self._patient.claim(sweep, self._agent, count, secrets.token_hex(8))
        self._hold(claims)
        return state, claims

    def report(self, endings: Sequence[Ending], *, sweep: str = "", more: int = 0) -> tuple[str, list[Claim]]:
        """Report endings and claim up to `more` trials of `sweep` in one call: its state ('' if untold), claims."""
        if self._over:
            endings = [ending for ending in endings if not self.is_over(ending.claim)]
        if endings:
            return self._complete(endings, sweep, more)
        return self.claim(sweep, more) if more > 0 else ("", [])

    def release(self, claim: Claim, *, began: bool = True) -> None:
        """Hand a trial back, unless it was ended already; of one that never began nothing is said."""
        if not (self._over and self.is_over(claim)):
            self._release(claim, began=began)

    def end_running(self, claim: Claim) -> bool:
        """From now on what its code gives is not reported; True for the first who says so, and then acts for it."""
        with self._lock:
            first = claim.token not in self._over
            self._over.add(claim.token)
        return first

    def report_running(self, ending: Ending) -> None:
        """End an attempt whose code does not come back, after `end_running`."""
        self._complete([ending], "", 0)

    def release_running(self, claim: Claim) -> None:
        """Hand an attempt back whose code does not come back, after `end_running`."""
        self._release(claim)

    def forget(self, claim: Claim) -> None:
        """Let its lease run out: it can neither be reported nor handed back."""
        self._beat.drop(claim)

    def is_over(self, claim: Claim) -> bool:
        """Whether it was ended while its code still ran."""
        with self._lock:
            return claim.token in self._over

    # ---- inside

    @property
    def _ledger(self) -> Ledger:
        return self._hurried if self._signals.handing_back.is_set() else self._patient

    def _hold(self, claims: list[Claim]) -> None:
        if claims:
            self._beat.hold(claims, often=self._is_watched(claims[0].sweep))
            self._tally.claimed(len(claims))

    def _complete(self, endings: Sequence[Ending], sweep: str, more: int) -> tuple[str, list[Claim]]:
        # A count of 0 claims nothing and still tells the sweep's state.
        then = (sweep, self._agent, more, secrets.token_hex(8)) if sweep else None
        try:
            replies, state, claims = self._ledger.complete(endings, then=then)
            until = time.monotonic() + UNKNOWN_SECONDS
            while any(reply == "unknown" for reply, _ in replies) and time.monotonic() < until:
                threading.Event().wait(_POLL_SECONDS)  # a controller writes back what Redis has lost
                replies, state, claims = self._ledger.complete(endings, then=then)
        except Unreachable as error:
            self._unreachable(endings, error)
            return "", []
        self._hold(claims)
        for ending, (reply, entry) in zip(endings, replies, strict=True):
            self._beat.drop(ending.claim)
            self.last_entry = entry or self.last_entry
            if reply == "stale":
                self._say(f"trial {ending.claim.run_id}: another agent has taken it over; this attempt does not count")
            elif reply == "unknown":
                self._say(f"trial {ending.claim.run_id}: its sweep is gone, so its end is not recorded")
        return state, claims

    def _release(self, claim: Claim, *, began: bool = True) -> None:
        self._beat.drop(claim)
        self._tally.claimed(-1)
        try:
            if self._ledger.release(claim, "preempted") and began:
                self._say(f"trial {claim.run_id} is handed back")
        except Unreachable:
            self._say(f"trial {claim.run_id} cannot be handed back now; it is taken again when its lease has run out")

    def _unreachable(self, endings: Sequence[Ending], error: Unreachable) -> None:
        for ending in endings:
            self._beat.drop(ending.claim)
            self._say(f"trial {ending.claim.run_id}: its end could not be reported ({error}); it will run again")
