"""Every error besom raises on purpose, in one tree.

BesomError
├── UsageError              the caller wrote something that cannot be
│   ├── ConfigError         a sweep config, a setting or a run's config
│   ├── TooLarge            a value that has no room
│   └── FinishedRun         a run was used after its end
├── BlobRefused             a blob's bytes are not what its name says, or too many
├── NotFound                no sweep, trial or run has this id
├── Unreachable             Redis, the service or the store does not answer
├── StoreError              the store's database refuses
├── Fenced                  another controller works for this namespace
└── StoreMismatch           this namespace belongs to another store

BaseException
└── TrialInterrupted        ends a train function from outside; `except Exception` does not swallow it
    ├── TrialStopped        a stopping rule ended the trial
    ├── TrialPreempted      the trial goes back to be taken by another agent
    └── TrialCancelled      the user cancelled the sweep
"""

from __future__ import annotations

__all__ = [
    "BesomError",
    "BlobRefused",
    "ConfigError",
    "Fenced",
    "FinishedRun",
    "NotFound",
    "StoreError",
    "StoreMismatch",
    "TooLarge",
    "TrialCancelled",
    "TrialInterrupted",
    "TrialPreempted",
    "TrialStopped",
    "Unreachable",
    "UsageError",
]


class BesomError(Exception):
    """Root of what besom raises; a command prints its message and exits with 2."""


class UsageError(BesomError):
    """An argument or call that cannot be carried out as written."""


class ConfigError(UsageError):
    """A key of a config whose value cannot be; names the key, the value and what to write."""


class TooLarge(UsageError):
    """A value is larger than there is room for; in `log()` it is left out with a warning."""


class FinishedRun(UsageError):
    """A finished run was written to."""

    def __init__(self, run_id: str, call: str) -> None:
        super().__init__(f"run {run_id} is finished, so {call} was not recorded; start another with besom.init()")
        self.run_id = run_id


class BlobRefused(BesomError):
    """A blob that is not what its name says, or larger than its place takes."""


class NotFound(BesomError):
    """No sweep, trial or run has this id here."""

    def __init__(self, what: str, name: str, where: str) -> None:
        super().__init__(f"no {what} {name!r} at {where}; `besom ls` shows the sweeps that exist")
        self.what, self.name, self.where = what, name, where


class Unreachable(BesomError):
    """A server or file that is needed does not answer."""


class Fenced(BesomError):
    """This controller's epoch is over: another one has taken the lease."""


class StoreError(BesomError):
    """The store's database refuses: damaged, foreign, newer, full, read-only or gone."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"the store at {url}: {problem}")
        self.url, self.problem = url, problem


class StoreMismatch(BesomError):
    """The namespace in Redis belongs to another store."""


class TrialInterrupted(BaseException):
    """Ends a train function from outside; derives from BaseException so that `except Exception` lets it pass."""


class TrialStopped(TrialInterrupted):
    """A stopping rule ended this trial."""


class TrialPreempted(TrialInterrupted):
    """This trial goes back to the queue; another agent, or this one later, takes it."""


class TrialCancelled(TrialInterrupted):
    """The sweep was cancelled."""
