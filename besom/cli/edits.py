"""What `edit` and `enqueue` do: an event in the sweep's ordered history, in force once the controller has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from besom.cli.steering import need_controller, opened_sweep, until_recorded
from besom.controller.editing import changes_of
from besom.errors import NotFound, UsageError
from besom.messages import SweepEdited, SweepSpec
from besom.settings import Settings
from besom.tracking.reading.api import Api

__all__ = ["change"]

_TRIES: Final = 5
"""Others may edit the same sweep in between."""


def change(settings: Settings, sweep: str, make: Callable[[Mapping[str, Any], int], dict[str, Any]]) -> list[str]:
    """Change a sweep's config; what has changed, one line for each key.

    Args:
        settings: Where Redis is.
        sweep: Its id or path.
        make: The new config from the one that stands and how many of its `points` have had their turn; asked again
            when somebody else was faster.

    Raises:
        ConfigError: the new config cannot be, or changes what may not.
        NotFound: there is no such sweep.
        UsageError: it is over.
        Unreachable: no controller is there to carry it out.
    """
    with opened_sweep(settings, sweep) as (connection, ledger, spec):
        need_controller(connection, "nothing can be changed")
        api = Api(settings=settings)
        try:
            for _ in range(_TRIES):
                before = _row(api, spec.id, connection.shown)
                state = ledger.state(spec.id) or before["state"]
                if state not in ("pending", "running", "paused"):
                    raise UsageError(f"sweep {spec.path} is {state} and takes no more trials; make a new sweep")
                known = SweepSpec.model_validate(before["spec"])
                new = make(known.config, known.points_done(before["issued"]))
                lines = list(changes_of(known.config, new))
                if not lines:
                    return []
                event = SweepEdited(sweep=spec.id, base=len(known.edits), config=new)
                until_recorded(connection, [event], f"change {spec.path}")
                after = SweepSpec.model_validate(_row(api, spec.id, connection.shown)["spec"])
                if len(after.edits) > len(known.edits) and _is(after.config, new):
                    return lines
        finally:
            api.close()
        raise UsageError(f"sweep {spec.path} was changed by others again and again; try once more")


def _is(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the config is the one wanted, points that have had their turn aside."""
    left, asked = list(config.get("points", ())), list(wanted.get("points", ()))
    others = ({key: value for key, value in one.items() if key != "points"} for one in (config, wanted))
    return next(others) == next(others) and left == asked[len(asked) - len(left) :]


def _row(api: Api, sweep: str, where: str) -> dict[str, Any]:
    row: dict[str, Any] | None = api.ask("sweep", sweep_id=sweep)
    if row is None:
        raise NotFound("sweep", sweep, where)
    return row
