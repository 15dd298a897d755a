"""`early_terminate` of a sweep config: which stopping rule, with which numbers.

Reads: plain JSON values.  Gives: a frozen section that makes the rule.  Knows nothing of trials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from besom.controller.sections import Problems, Section, WholeNumber, check, nearest, shown

if TYPE_CHECKING:
    from besom.strategies.stopping import StoppingRule

__all__ = ["RULES", "EarlyTerminate", "NoRule", "read_early_terminate"]

_MAX_ITER = 2**53


class EarlyTerminate(Section):
    """A stopping rule."""

    example: ClassVar[str] = ""
    """Its keys with values that can be, as in a sweep file."""
    type: str
    metric: str | None = Field(
        None, min_length=1, description="the name of one of several metrics, by which trials are judged"
    )

    @property
    def promotes(self) -> bool:
        """Whether a trial that it stopped may go on later."""
        return False

    def rule(self) -> StoppingRule | None:
        """The rule as these numbers have it; None for no rule."""
        return self._rule()

    def bands(self) -> tuple[int, ...]:
        """The iterations at which a trial is judged, lowest first; empty when at every one."""
        return self._bands()

    def _rule(self) -> StoppingRule | None:
        raise NotImplementedError

    def _bands(self) -> tuple[int, ...]:
        return ()


class HyperbandConfig(EarlyTerminate):
    """Stops a trial that is not among the best 1/eta of those that reached its highest band."""

    example = "{type: hyperband, min_iter: 3, eta: 3}"
    type: Literal["hyperband"]
    min_iter: WholeNumber | None = Field(
        None, ge=1, le=_MAX_ITER, description="a whole number from 1: the first band, each next one eta times as far"
    )
    max_iter: WholeNumber | None = Field(
        None,
        ge=1,
        le=_MAX_ITER,
        description="a whole number from 1, with s: bands are max_iter/eta, max_iter/eta^2, ...",
    )
    s: WholeNumber | None = Field(
        None, ge=1, le=_MAX_ITER, description="a whole number from 1: how many bands max_iter gives"
    )
    eta: float = Field(3.0, gt=1, le=1e9, description="a number above 1, such as 3")
    strict: bool = Field(True, description="true: the value at the band counts; false: the best value so far")

    @model_validator(mode="after")
    def _has_bands(self) -> HyperbandConfig:
        if self.max_iter is None and self.min_iter is None:
            raise ValueError("hyperband needs its bands; write min_iter: 3, or max_iter: 27 with s: 2")
        if self.max_iter is not None and self.s is None:
            raise ValueError(f"max_iter {self.max_iter} needs s, the number of bands; write s: 2, or min_iter instead")
        if not self.bands():
            raise ValueError(
                f"max_iter {self.max_iter} divided by eta {self.eta:g} leaves no band; write max_iter above eta"
            )
        return self

    def _bands(self) -> tuple[int, ...]:
        from besom.strategies.stopping import bands_down, bands_up

        if self.max_iter is not None and self.s is not None:
            return bands_down(self.max_iter, self.s, self.eta)
        return bands_up(self.min_iter or 1, self.eta)

    def _rule(self) -> StoppingRule:
        from besom.strategies.stopping import Hyperband

        return Hyperband(self.bands(), self.eta, self.strict)


class AshaConfig(EarlyTerminate):
    """At each rung a trial goes on if it is among the best 1/eta that were seen there so far.

    One that is not is stopped. When later trials make it one of the best, it is promoted: it waits in front of all
    others and goes on as its next attempt, from its checkpoint if it has kept one, or else from the beginning.
    """

    example = "{type: asha, min_iter: 1, eta: 3, max_iter: 81}"
    type: Literal["asha"]
    min_iter: WholeNumber = Field(1, ge=1, le=_MAX_ITER, description="a whole number from 1: the first rung")
    max_iter: WholeNumber | None = Field(
        None,
        ge=2,
        le=_MAX_ITER,
        description="a whole number above min_iter: how long a trial is, so that none is judged at its end",
    )
    eta: float = Field(3.0, gt=1, le=1e9, description="a number above 1, such as 3")
    promote: bool = Field(
        True, description="true: a stopped trial goes on when it is one of the best after all; false: it never does"
    )

    @model_validator(mode="after")
    def _has_rungs(self) -> AshaConfig:
        if self.max_iter is not None and self.max_iter <= self.min_iter:
            raise ValueError(f"max_iter {self.max_iter} is not above min_iter {self.min_iter}; write a longer max_iter")
        return self

    @property
    def promotes(self) -> bool:
        """Whether a trial that it stopped may go on later."""
        return self.promote

    def _bands(self) -> tuple[int, ...]:
        from besom.strategies.stopping import bands_up

        return bands_up(self.min_iter, self.eta, self.max_iter)

    def _rule(self) -> StoppingRule:
        from besom.strategies.stopping import Asha

        return Asha(tuple(dict.fromkeys(self.bands())), self.eta, self.promote)


class MedianConfig(EarlyTerminate):
    """Stops a trial whose best value is worse than the median of the others' averages up to the same iteration."""

    example = "{type: median, min_iter: 5, min_trials: 5}"
    type: Literal["median"]
    min_iter: WholeNumber = Field(
        1, ge=1, le=_MAX_ITER, description="a whole number from 1: values before it is judged"
    )
    min_trials: WholeNumber = Field(5, ge=1, le=_MAX_ITER, description="a whole number from 1: others that came as far")

    def _rule(self) -> StoppingRule:
        from besom.strategies.stopping import Median

        return Median(self.min_iter, self.min_trials)


class NoRule(EarlyTerminate):
    """No trial is stopped, as without the key."""

    example = "{type: none}"
    type: Literal["none"]

    def _rule(self) -> None:
        return None


RULES: dict[str, type[EarlyTerminate]] = {
    "hyperband": HyperbandConfig,
    "asha": AshaConfig,
    "median": MedianConfig,
    "none": NoRule,
}
"""Type to its section."""


def read_early_terminate(written: Any, problems: Problems) -> EarlyTerminate | None:
    """The stopping rule as written, or None after telling what is wrong with it."""
    path = ("early_terminate",)
    if not isinstance(written, dict):
        problems.add(path, f"{shown(written)} is not a mapping; write {{type: hyperband, min_iter: 3}}")
        return None
    kind = written.get("type")
    if kind is None:
        problems.add((*path, "type"), f"missing; write type: with one of {', '.join(RULES)}")
        return None
    if not isinstance(kind, str) or kind not in RULES:
        near = nearest(kind, RULES) if isinstance(kind, str) else None
        hint = f"{near} (all: {', '.join(RULES)})" if near else f"one of {', '.join(RULES)}"
        problems.add((*path, "type"), f"{shown(kind)} is no stopping rule; write {hint}")
        return None
    given = {key: value for key, value in written.items() if value is not None}
    return check(RULES[kind], given, path, problems)
