"""The `besom` command. Each command parses, calls one function, prints; errors are shown here, in one place."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from keyword import iskeyword
from typing import Final

import click

from besom import __version__
from besom.errors import BesomError

__all__ = ["cli", "main"]


_HOMES: Final = {
    "controller": "serve",
    "status": "serve",
    "down": "serve",
    "sweep": "sweeps",
    "pause": "sweeps",
    "resume": "sweeps",
    "stop": "sweeps",
    "cancel": "sweeps",
    "retry": "sweeps",
    "check": "checking",
    "schema": "checking",
    "edit": "editing",
    "enqueue": "editing",
    "rm": "sweeps",
    "agent": "agents",
    "agents": "agents",
    "run": "agents",
    "exec": "programs",
    "demo": "agents",
    "ls": "looks",
    "show": "looks",
    "logs": "looks",
    "best": "looks",
    "importance": "learned",
    "runs": "archive",
    "export": "archive",
    "backup": "archive",
    "import": "importing",
    "gc": "garbage",
    "sync": "syncing",
}
"""Command to the module that has it."""


class _Commands(click.Group):
    """Loads a command's module when it is needed; the modules themselves import only click at first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOMES.get(cmd_name)
        if home is None:
            return None
        from importlib import import_module

        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f"besom.cli.{home}"), name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: besom demo",
)
@click.version_option(__version__, prog_name="besom")
def cli() -> None:
    """Hyperparameter sweeps on machines you own.

    Redis is found through BESOM_REDIS_URL; without it a service with its own Redis starts by itself.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit code 2 for what the user can mend, 130 after Ctrl-C."""
    logging.basicConfig(format="besom: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        code = cli.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except BesomError as error:
        click.echo(f"besom: {error}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output has gone
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
