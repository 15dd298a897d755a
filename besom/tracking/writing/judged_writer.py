"""The writer of a trial under a stopping rule: what is trained between a value and its stop would be lost.

A row goes at once, what came of it is asked for soon after, and at a rung whoever logs waits for the verdict.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from besom.broker.journal import Journal
from besom.errors import Unreachable
from besom.messages import Judged
from besom.tracking.writing.rungs import Rungs
from besom.tracking.writing.spool import WriterName
from besom.tracking.writing.writer import Writer

__all__ = ["JudgedWriter"]

log = logging.getLogger("besom")

_PROMPT_SECONDS: Final = 0.1
"""Between two rows that go at once."""
_ASK_SECONDS: Final = (0.05, 0.15, 0.4)
"""After a batch: when to ask what came of it, unless another batch brings the answer. What others log later may stop a
trial too; that its agent's beat tells."""
_VERDICT_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.01
_LOOK_SECONDS: Final = 0.05
"""What is recorded is looked at by then, if it was not at once."""


class JudgedWriter(Writer):
    """A `Writer`, made with the same arguments and one more.

    Args:
        judged: What the rule judges by; None where it does so at every value, and nobody waits.
    """

    def __init__(self, *arguments: Any, judged: Judged | None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._judged = judged
        self._rungs = Rungs(judged) if judged else None
        self._at_once = 0.0  # from when on the next row goes at once
        self._questions: list[float] = []  # when to ask what is wanted
        self._listening: threading.Thread | None = None

    def _childs(self, journal: Journal, name: WriterName) -> Writer:
        folder = self._spool.path.parent
        return JudgedWriter(journal, name, folder, self._limit, self._clock, self._memory, judged=self._judged)

    # ---- what the run calls

    def add(self, step: int, row: dict[str, Any]) -> bool:
        """As ever; and whether the row goes at once."""
        if self._rungs is not None:
            self._rungs.count(row)
        news = super().add(step, row)
        return self._hurries() or news

    def await_verdict(self) -> None:
        """At a rung, send what waits and stay a second at most until the rule has looked at it; see `control`.

        A thread of its own talks to Redis: one that hangs is given up after a minute only.
        """
        if self._rungs is None or not self._rungs.reached:
            return
        self._rungs.reached = False
        if self._listening is not None and self._listening.is_alive():
            return  # since an earlier rung, so there is nothing to wait for
        self._listening = threading.Thread(target=self._listen, name="besom-verdict", daemon=True)
        self._listening.start()
        self._listening.join(_VERDICT_SECONDS)

    # ---- what the flusher calls

    def due(self) -> float | None:
        """When to send, or else to ask."""
        due = super().due()
        return self._questions[0] if due is None and self._questions else due

    def flush(self) -> bool:
        """Send what waits, or ask what is wanted; False when Redis did not take all of it."""
        if self._questions and super().due() is None:
            self._ask()
        return super().flush()

    # ---- inside

    def _listen(self) -> None:
        until = self._clock() + _VERDICT_SECONDS
        try:
            if not self.flush():
                return
            logged, is_recorded = self._backlog.count, False
            while self.control in ("", "pause") and (left := until - self._clock()) > 0:
                threading.Event().wait(min(left, _POLL_SECONDS))
                if self._ask() >= logged and not is_recorded:
                    is_recorded, until = True, min(until, self._clock() + _LOOK_SECONDS)
        except Exception:
            log.exception("run %s: what its stopping rule says could not be heard; going on", self.name.run)

    def _hurries(self) -> bool:
        """Whether the row that was just added goes at once."""
        with self._rows:
            now = self._clock()
            if now < self._at_once or self._unsent():
                return False
            self._due, self._at_once = now, now + _PROMPT_SECONDS
            return True

    def _send_one(self, seq: int, body: bytes, patience: float) -> str:
        status = super()._send_one(seq, body, patience)
        if status == "ok":
            self._questions = [self._clock() + seconds for seconds in _ASK_SECONDS]
        return status

    def _ask(self) -> int:
        """Hear what is wanted of the trial; how many batches are recorded."""
        assert self._journal is not None
        assert self.name.claim is not None
        self._questions = self._questions[1:]
        try:
            self.control, recorded = self._journal.wanted(self.name.claim, self.name.run, self.name.writer)
        except Unreachable as error:
            log.debug("run %s: %s", self.name.run, error)
            return 0
        return recorded
