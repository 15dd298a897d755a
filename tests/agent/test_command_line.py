"""From a command and params to arguments, and which commands an agent executes at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from besom.agent.command_line import check_allowed, command_line, sign
from besom.errors import ConfigError, UsageError
from besom.messages import SweepSpec
from besom.settings import read_settings

PARAMS = {"lr": 1e-4, "flag": False, "flag2": True, "s": "one two", "n": None, "l": [1, 2], "nest": {"a": 1}}
FILE = Path("/tmp/params.json")


def spec_of(*command: str, program: str | None = "train.py", **keys: Any) -> SweepSpec:
    return SweepSpec(
        id="s", entity="e", project="p", name="", created=0.0, config={"parameters": {"lr": {"value": 1}}},
        program=program, command=command or None, **keys,
    )  # fmt: skip


# ---- arguments: W&B's table of values


@pytest.mark.parametrize(
    ("macro", "arguments"),
    [
        ("${env}", ["/usr/bin/env"]),
        ("${interpreter}", [sys.executable]),
        ("${program}", ["train.py"]),
        (
            "${args}",
            ["--lr=0.0001", "--flag=False", "--flag2=True", "--s=one two", "--n=None", "--l=[1, 2]", "--nest={'a': 1}"],
        ),
        (
            "${args_no_equals}",
            ["--lr", "0.0001", "--flag", "False", "--flag2", "True", "--s", "one two", "--n", "None", "--l", "[1, 2]",
             "--nest", "{'a': 1}"],
        ),
        (
            "${args_no_hyphens}",
            ["lr=0.0001", "flag=False", "flag2=True", "s=one two", "n=None", "l=[1, 2]", "nest={'a': 1}"],
        ),
        (
            "${args_no_boolean_flags}",
            ["--lr=0.0001", "--flag2", "--s=one two", "--n=None", "--l=[1, 2]", "--nest={'a': 1}"],
        ),
        (
            "${args_append_hydra}",
            ["+lr=0.0001", "+flag=False", "+flag2=True", "+s=one two", "+n=None", "+l=[1, 2]", "+nest={'a': 1}"],
        ),
        (
            "${args_override_hydra}",
            ["++lr=0.0001", "++flag=False", "++flag2=True", "++s=one two", "++n=None", "++l=[1, 2]", "++nest={'a': 1}"],
        ),
        ("${args_json_file}", [str(FILE)]),
        ("${lr}", ["0.0001"]),
        ("--lr=${lr}", ["--lr=0.0001"]),
        ("${lr}/${s}", ["0.0001/one two"]),
        ("plain", ["plain"]),
        ("$HOME; rm -rf *", ["$HOME; rm -rf *"]),
        ("", [""]),
    ],
)  # fmt: skip
def test_macro(macro: str, arguments: list[str]) -> None:
    """Each macro gives the arguments of W&B's table; no shell looks at them."""
    assert command_line(spec_of(macro), PARAMS, FILE) == arguments


def test_json_argument() -> None:
    """`${args_json}` is one argument that reads back as the params."""
    [argument] = command_line(spec_of("${args_json}"), PARAMS, FILE)
    assert json.loads(argument) == PARAMS


def test_default_command() -> None:
    """Without a command: env, interpreter, program, args."""
    line = command_line(spec_of(), {"lr": 0.1}, FILE)
    assert line == ["/usr/bin/env", sys.executable, "train.py", "--lr=0.1"]


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("${envvar:BOX_COLOUR}", "blue"),
        ("--colour=${envvar:BOX_COLOUR}-${lr}", "--colour=blue-0.0001"),
        ("${envvar:BOX_MISSING}", "BOX_MISSING"),
    ],
)
def test_environment_variable(monkeypatch: pytest.MonkeyPatch, item: str, value: str) -> None:
    """`${envvar:NAME}` is the agent's variable, whole or in part; its bare name when it is not set."""
    monkeypatch.setenv("BOX_COLOUR", "blue")
    assert command_line(spec_of(item), PARAMS, FILE) == [value]


def test_no_parameters() -> None:
    """Without params the macros for arguments give none."""
    assert command_line(spec_of("a", "${args}", "${args_no_equals}", "b"), {}, FILE) == ["a", "b"]


@pytest.mark.parametrize("item", ["${arg}", "--x=${batch}", "${}", "${Args}", "${args_jsn}"])
def test_unknown_macro(item: str) -> None:
    """A macro that is no parameter either is an error that shows it and lists the known ones."""
    with pytest.raises(ConfigError) as refused:
        command_line(spec_of("${program}", item), PARAMS, FILE)
    assert repr(item) in str(refused.value)
    assert "${args_json_file}" in str(refused.value)


def test_program_that_is_missing() -> None:
    """`${program}` without a program in the config is named."""
    with pytest.raises(ConfigError, match="names no program"):
        command_line(spec_of("${program}", program=None), PARAMS, FILE)


# ---- what is executed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a program in it and one outside."""
    folder = tmp_path / "here"
    (folder / "below").mkdir(parents=True)
    for path in (folder / "train.py", folder / "below" / "train.py", tmp_path / "outside.py"):
        path.write_text("")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    monkeypatch.chdir(folder)
    return folder


def allowed(spec: SweepSpec, *, allow_command: bool = False) -> str:
    """'' when it may be executed, else why not."""
    try:
        check_allowed(spec, read_settings(), allow_command=allow_command)
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("program", ["train.py", "./train.py", "below/train.py", "below/../train.py"])
def test_program_below_the_working_directory(here: Path, program: str) -> None:
    """A file in or below the working directory is executed by the interpreter."""
    assert allowed(spec_of(program=program)) == ""
    assert allowed(spec_of("${interpreter}", "${program}", "-v", "${args}", program=program)) == ""
    assert allowed(spec_of(program=str(here / program))) == ""


@pytest.mark.parametrize("program", ["../outside.py", "link.py", "/etc/hostname", "below/../../outside.py"])
def test_program_outside(here: Path, program: str) -> None:
    """A file outside, by a link too, is refused with where it lies, and allowed when the user says so."""
    spec = spec_of(program=program)
    assert f"lies outside {here}" in allowed(spec)
    assert allowed(spec, allow_command=True) == ""


@pytest.mark.parametrize("program", ["missing.py", "below"])
def test_program_that_is_no_file(here: Path, program: str) -> None:
    """A missing file or a folder is refused with where it was looked for."""
    assert f"no file in {here}" in allowed(spec_of(program=program))


@pytest.mark.parametrize(
    "command",
    [
        ["rm", "-rf", "/"],
        ["${env}", "rm"],
        ["${interpreter}", "-c", "print()", "${program}"],
        ["${program}", "${args}"],
        ["${env}", "LD_PRELOAD=x", "${interpreter}", "${program}"],
        ["${interpreter}"],
    ],
)
def test_other_command(here: Path, command: list[str]) -> None:
    """Anything but interpreter and program first needs --allow-command or a signature."""
    spec = spec_of(*command)
    assert "--allow-command" in allowed(spec)
    assert "BESOM_SECRET" in allowed(spec)
    assert allowed(spec, allow_command=True) == ""


def test_nothing_to_execute(here: Path) -> None:
    """A sweep without program and command says what to add, even with --allow-command."""
    assert "add `program: train.py`" in allowed(spec_of(program=None), allow_command=True)


def _signed(monkeypatch: pytest.MonkeyPatch, *command: str) -> SweepSpec:
    monkeypatch.setenv("BESOM_SECRET", "open sesame")
    spec = spec_of(*command)
    return spec.model_copy(update={"signature": sign(spec, read_settings())})


def test_signed_sweep(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command signed with this agent's secret is executed; with another secret or none it is not."""
    spec = _signed(monkeypatch, "make", "${args}")
    assert allowed(spec) == ""
    monkeypatch.setenv("BESOM_SECRET", "another")
    assert "wants to execute 'make ${args}'" in allowed(spec)
    monkeypatch.delenv("BESOM_SECRET")
    assert "wants to execute" in allowed(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"command": ("make", "evil")},
        {"program": "other.py"},
        {"id": "t"},
        {"config": {"parameters": {"lr": {"value": "$(evil)"}}}},
        {"signature": "0" * 64},
        {"signature": ""},
    ],
)
def test_tampered_sweep(here: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    """A signature covers command, program, id and parameters: a change of any is refused."""
    spec = _signed(monkeypatch, "make", "${args}")
    assert "wants to execute" in allowed(spec.model_copy(update=change))


def test_empty_signature_and_no_secret(here: Path) -> None:
    """Without a secret nothing counts as signed, an empty signature neither."""
    assert sign(spec_of("make"), read_settings()) == ""
    assert "wants to execute" in allowed(spec_of("make"))
