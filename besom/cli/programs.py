"""`besom exec`."""

from __future__ import annotations

import click

__all__ = ["exec"]


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: besom exec -- python train.py --epochs 3",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(command: tuple[str, ...]) -> None:
    """Run COMMAND, where `import wandb` gives besom, in its child processes too."""
    import os

    from besom.compat.environment import with_stand_in
    from besom.errors import UsageError

    try:
        os.execvpe(command[0], command, with_stand_in(os.environ))
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from None
