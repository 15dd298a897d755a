"""`besom check` and `besom schema`: a sweep file before it is a sweep."""

from __future__ import annotations

import click

__all__ = ["check", "schema"]


@click.command(epilog="Example: besom check sweep.yaml")
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: str, as_json: bool) -> None:
    """Check a sweep FILE and show what it amounts to; nothing is created.

    All problems are told at once, each with line, column, key, value and what to write; the exit code is then 2.
    """
    from besom.cli.previews import preview
    from besom.controller.sweep_config import load

    preview(load(file), file, as_json=as_json)


@click.command(epilog="Example: besom schema")
def schema() -> None:
    """Print the JSON schema of sweep files, for editors that complete and check what one writes.

    Keep it as sweep.schema.json; with the YAML extension of VS Code, begin a sweep file with
    # yaml-language-server: $schema=sweep.schema.json
    """
    import json

    from besom.controller.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
