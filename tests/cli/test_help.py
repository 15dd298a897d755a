"""Every command explains itself with an example that works, and is quick to ask."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import click
import pytest

from besom.cli import cli

from .conftest import Besom

HEAVY = ("alembic", "numpy", "pydantic", "redis", "rich", "rq", "ruamel", "scipy", "sklearn", "skopt", "sqlalchemy")
SEARCH = ("alembic", "numpy", "pandas", "scipy", "sklearn", "skopt", "sqlalchemy")
COMMANDS = cli.list_commands(click.Context(cli))


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of `names` a fresh interpreter has imported after `code`."""
    asked = f"import sys\n{code}\nsys.stderr.write(','.join(sorted({set(names)!r} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    return [name for name in done.stderr.split(",") if name]


def test_the_commands() -> None:
    """The verbs of the contract, and no other."""
    assert set(COMMANDS) == {
        "agent", "agents", "backup", "best", "cancel", "check", "controller", "demo", "down", "edit", "enqueue", "exec",
        "export", "gc", "import", "importance", "logs", "ls", "pause", "resume", "retry", "rm", "run", "runs", "schema",
        "show", "status", "stop", "sweep", "sync",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name: str, besom: Besom) -> None:
    """`--help` and `-h` say the same and exit with 0; every option and argument is explained."""
    code, out, err = besom(name, "--help")
    assert (code, err) == (0, "")
    assert besom(name, "-h").out == out
    assert "Example: " in out
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    unexplained = [
        param.name
        for param in command.params
        if isinstance(param, click.Option) and not param.hidden and not param.help
    ]
    assert unexplained == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_parses(name: str) -> None:
    """The example calls this command, with arguments and options that it takes."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.epilog is not None
    line = command.epilog.removeprefix("Example: ")
    found = re.search(rf"\bbesom {name}\b([^)|]*)", line)
    assert found is not None, line
    command.make_context(name, shlex.split(found[1]))


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_besom_lists_its_commands(arguments: tuple[str, ...], besom: Besom) -> None:
    """Each command stands in the list with what it does; without arguments as well."""
    answer = besom(*arguments)
    shown = dict(re.findall(r"^  (\w+) +(\S.*)$", answer.out + answer.err, re.MULTILINE))
    assert shown.keys() >= set(COMMANDS)


def test_version(besom: Besom) -> None:
    """One line with the package's own version."""
    from besom import __version__

    assert besom("--version").out == f"besom, version {__version__}\n"


@pytest.mark.parametrize(
    "code",
    [
        "import besom",
        "import besom.cli",
        "from besom.cli import cli\ncli.main(['--help'], standalone_mode=False)",
        "from besom.cli import cli\ncli.main(['show', '--help'], standalone_mode=False)",
    ],
)
def test_asking_for_help_imports_nothing_heavy(code: str) -> None:
    """Help comes from click alone."""
    assert loaded(code, HEAVY) == []


def test_an_agent_imports_neither_search_nor_store() -> None:
    """What an agent needs to run functions, commands and runs stands on none of what only the controller needs."""
    code = """
import besom, besom.cli.agents, besom.cli.options, besom.broker.find, besom.broker.service
import besom.agent.agent, besom.agent.ask, besom.agent.command_trial, besom.agent.function_trial
import besom.tracking.run.init, besom.tracking.run.run, besom.tracking.writing.writer, besom.tracking.writing.spool
besom.agent, besom.init, besom.log, besom.finish, besom.Run
"""
    assert loaded(code, SEARCH) == []
