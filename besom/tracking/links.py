"""Where the controller's HTTP read API has a run, a sweep or a project; None when no controller serves one."""

from __future__ import annotations

import json
from urllib.parse import urlencode

__all__ = ["project_link", "run_link", "sweep_link"]


def run_link(address: str, run_id: str) -> str | None:
    """Of one run."""
    return _link(address, "run", run_id=run_id)


def sweep_link(address: str, sweep_id: str) -> str | None:
    """Of one sweep."""
    return _link(address, "sweep", sweep_id=sweep_id)


def project_link(address: str, entity: str, project: str) -> str | None:
    """Of the runs of a project."""
    return _link(address, "runs", entity=entity, project=project)


def _link(address: str, query: str, **arguments: str) -> str | None:
    given = {name: json.dumps(value) for name, value in arguments.items()}
    return f"{address}/api/{query}?{urlencode(given)}" if address else None
