"""`besom controller`, `besom status`, `besom down`."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

__all__ = ["controller", "down", "status"]


@click.command(epilog="Example: BESOM_REDIS_URL=rediss://user:pass@host:6379/0 besom controller --http 0.0.0.0:8080")
@click.option("--redis", "redis_url", metavar="URL|@FILE", help="Redis to work for; default BESOM_REDIS_URL.")
@click.option("--store", metavar="URL|PATH", help="Database; default besom.db in BESOM_HOME.")
@click.option("--http", metavar="HOST:PORT", help="Serve the read API there.")
@click.option("--service", is_flag=True, hidden=True)
def controller(redis_url: str | None, store: str | None, http: str | None, service: bool) -> None:
    """Plan sweeps and record what happens, until interrupted.

    Without a Redis configured it starts an embedded one. Several controllers may run for one Redis: one works, the
    others stand by.
    """
    from besom.cli.controller_process import be_controller, be_service
    from besom.cli.options import settings_with

    logging.getLogger("besom").setLevel(logging.INFO)
    settings = settings_with(redis_url=redis_url, store=store)
    if service:
        be_service(settings)
    else:
        be_controller(settings, http, say=click.echo)


@click.command(epilog="Example: besom status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show whether Redis, controller and agents are there."""
    from besom.cli.options import settings_with
    from besom.cli.state import look_at
    from besom.cli.tables import print_facts

    facts: dict[str, Any] = look_at(settings_with())
    print_facts(facts, as_json=as_json)
    sys.exit(0 if facts["controller"] != "none" else 1)


@click.command(epilog="Example: besom down")
def down() -> None:
    """End the service of this BESOM_HOME; sweeps and runs are kept."""
    from besom.broker.service import Service
    from besom.cli.options import settings_with

    settings = settings_with()
    ended = Service(settings).stop()
    click.echo("service ended" if ended else f"no service runs in {settings.home}")
