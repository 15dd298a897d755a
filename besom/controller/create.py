"""`besom.sweep()`: check a config and write the sweep to Redis, where a controller finds it."""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from besom.broker.connection import Connection
from besom.broker.find import find_sweep
from besom.broker.lead import read_leader
from besom.broker.ledger import Ledger
from besom.controller.sweep_config import SweepConfig, load
from besom.errors import BesomError, ConfigError, NotFound, UsageError
from besom.messages import Judged, Metric, SweepSpec, signature_of
from besom.settings import Settings, read_settings
from besom.tracking.run.new_run import new_id
from besom.tracking.writing.connections import shared_connection

__all__ = ["create_sweep", "sweep", "view_of"]

log = logging.getLogger("besom")

_SEEDS: Final = 2**31


def sweep(
    sweep: Mapping[str, Any] | str | os.PathLike[str],
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Sequence[str] | None = None,
) -> str:
    """Create a sweep; agents on any machine can take its trials from then on.

    Args:
        sweep: A sweep config, or the path of a YAML or JSON file with one.
        entity: User or team; default BESOM_ENTITY, the config's, or the user's name.
        project: Default BESOM_PROJECT, the config's, or "uncategorized".
        prior_runs: Ids of runs that the search learns from before its first trial, as the config's key of this name.

    Returns:
        The sweep's id, for `besom.agent`.

    Raises:
        ConfigError: names every key whose value cannot be, and what to write instead; nothing is created.
        Unreachable: Redis does not answer, or the service cannot start.
    """
    settings = read_settings(project=project, entity=entity)
    config = load(sweep, prior_runs=list(prior_runs) if prior_runs is not None else None)
    connection = shared_connection(settings)
    spec = create_sweep(connection, config, settings)
    if not settings.silent:
        print(f"Create sweep with ID: {spec.id}")
        print(f"Sweep URL: {view_of(spec)}")
    return spec.id


def create_sweep(connection: Connection, config: SweepConfig, settings: Settings) -> SweepSpec:
    """Write the sweep to Redis; warns about keys that were ignored, and when no controller is there."""
    for warning in config.warnings:
        log.warning("%s", warning)
    written = config.as_dict()
    written.setdefault("seed", secrets.randbelow(_SEEDS))
    if config.prior_sweeps or config.prior_runs:
        _name_prior(connection, config, written, settings)
    spec = SweepSpec(
        id=new_id(),
        entity=settings.entity or config.entity or getpass.getuser(),
        project=settings.project or config.project or "uncategorized",
        name=config.name or "",
        created=time.time(),
        config=written,
        metric=Metric(name=config.metric.name, goal=config.metric.goal) if config.metric else None,
        program=config.program,
        command=config.command,
        retries=config.retries,
        timeout=config.timeout,
        weight=config.weight,
        judged=_judged(config),
    )
    if settings.secret is not None:
        spec = spec.model_copy(update={"signature": signature_of(spec, settings.secret.get_secret_value())})
    if not Ledger(connection).create(spec):
        return create_sweep(connection, config, settings)  # one id in 2.8e12 is taken
    if settings.redis_url is not None and not read_leader(connection).alive:
        log.warning("no controller at %s; start one with: besom controller", connection.shown)
    return spec


def _judged(config: SweepConfig) -> Judged | None:
    if config.early_terminate is None or config.judged is None:
        return None
    rungs = tuple(dict.fromkeys(config.early_terminate.bands()))
    return Judged(metric=config.judged.name, rungs=rungs) if rungs else None


def _name_prior(connection: Connection, config: SweepConfig, written: dict[str, Any], settings: Settings) -> None:
    """Put the ids of prior sweeps and runs into the config.

    Raises:
        ConfigError: one of them is not there.
    """
    ledger = Ledger(connection)
    sweeps: list[str] = []
    for index, name in enumerate(config.prior_sweeps):
        try:
            sweeps.append(find_sweep(ledger, name).id)
        except (NotFound, UsageError) as error:
            raise ConfigError(f"prior_sweeps[{index}]: {error}") from None
    runs = [name.rpartition("/")[2] for name in config.prior_runs]
    _check_runs(runs, settings)
    written.update({key: ids for key, ids in (("prior_sweeps", sweeps), ("prior_runs", runs)) if ids})


def _check_runs(runs: Sequence[str], settings: Settings) -> None:
    from besom.tracking.reading.api import Api

    if not runs:
        return
    try:
        api = Api(settings=settings)
    except BesomError:  # whoever makes a sweep needs only Redis; the controller says which runs it does not find
        return
    try:
        for index, run in enumerate(runs):
            if api.ask("run", run_id=run) is None:
                raise ConfigError(
                    f"prior_runs[{index}]: no run {run!r} at {api.where}; `besom runs` shows those there are"
                )
    finally:
        api.close()


def view_of(spec: SweepSpec) -> str:
    """How the sweep can be looked at."""
    return f"besom show {spec.path}"
