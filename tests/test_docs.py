"""The documents say what is so: commands, options, variables, configs and files in them exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

import besom
from besom.cli import cli
from besom.controller import parse
from besom.controller.sweep_file import read_sweep_file
from besom.settings import Settings
from besom.tracking.run.settings import VARIABLES

ROOT = Path(__file__).parent.parent
NAMES = [
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/guide.md", "docs/operations.md", "docs/architecture.md",
    "docs/decisions.md",
]  # fmt: skip
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
DEPLOY = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / "deploy").iterdir()}

CHILD = {"BESOM_TRIAL", "BESOM_TRIAL_DIR", "BESOM_SWEEP_ID", "BESOM_RUN_ID", "BESOM_SWEEP_PARAM_PATH"}
"""What an agent sets for the programs it runs."""

RUN = {f"BESOM_{name}" for name in VARIABLES.values()}
"""What `init()` reads."""


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[name], re.MULTILINE | re.DOTALL)


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> set[str]:
    return {option for param in command.params for option in param.opts} | {"--help", "-h"}


def test_nothing_is_left_to_fill_in() -> None:
    """No document has a placeholder or a note to its writer."""
    found = {
        name: re.findall(r"@@\w+@@|\bTODO\b|\bFIXME\b|\bTBD\b", text) for name, text in {**TEXTS, **DEPLOY}.items()
    }
    assert {name: hits for name, hits in found.items() if hits} == {}


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_python_blocks_compile(name: str) -> None:
    """Every example in Python is Python, and takes from besom only what is public."""
    found = blocks(name, "python")
    assert found
    for place, block in enumerate(found):
        compile(block, f"{name} block {place}", "exec")
        assert set(re.findall(r"\bbesom\.(\w+)", block)) <= {*besom.__all__, "integration"}


def test_yaml_blocks_are_sweeps() -> None:
    """Every sweep file in the guide is accepted, without a warning."""
    found = blocks("docs/guide.md", "yaml")
    assert len(found) >= 2
    for block in found:
        assert parse(YAML(typ="safe", pure=True).load(block)).warnings == ()


def test_python_sweeps_are_accepted() -> None:
    """So is every config that an example hands to besom.sweep."""
    import ast

    for name in ("README.md", "docs/guide.md"):
        calls = [
            node
            for block in blocks(name, "python")
            for node in ast.walk(ast.parse(block))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "besom.sweep"
        ]
        assert calls
        for call in calls:
            assert parse(ast.literal_eval(call.args[0])).warnings == ()


def _calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """`besom COMMAND ...` as written: in code spans and blocks, up to a comment or the span's end."""
    code = [*re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]
    code += re.findall(r"^ {4}\S.*$", text, re.MULTILINE)
    code += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in "\n".join(code).splitlines():
        line = re.sub(r"(^|\s)#.*|^user .*", "", line)  # a comment; a user of Redis who is called besom
        for found in re.finditer(r"(?:^|[\s(/])besom ([a-z]+)\b([^&)|]*)", line):
            yield found[1], re.findall(r"(?<!\S)--?[a-z][a-z-]*", found[2])


@pytest.mark.parametrize("name", [*TEXTS, *DEPLOY])
def test_commands_and_options_exist(name: str) -> None:
    """Every `besom command --option` written anywhere is one."""
    known = commands()
    for command, options in _calls({**TEXTS, **DEPLOY}[name]):
        assert command in known, f"{name}: besom {command}"
        assert set(options) <= options_of(known[command]), f"{name}: besom {command} {options}"


def test_calls_are_found() -> None:
    """The test above reads what it should."""
    text = "`besom ls --json` or\n\n    besom run x.yaml --agents 4   # --not besom\n\n"
    text += "```\nsudo /opt/besom sweep\n$(besom best S --args)\n```\n"
    assert sorted(_calls(text)) == [("best", ["--args"]), ("ls", ["--json"]), ("run", ["--agents"]), ("sweep", [])]


def test_the_table_of_commands_is_whole() -> None:
    """The guide's table has every command with exactly its options."""
    rows = re.findall(r"^\| `besom (\w+)[^`]*` \| .*? \| (.*?) ?\|$", TEXTS["docs/guide.md"], re.MULTILINE)
    written = {name: set(re.findall(r"`(--[a-z-]+)`", options)) for name, options in rows}
    held = {
        name: {
            next(option for option in param.opts if option.startswith("--"))
            for param in command.params
            if isinstance(param, click.Option) and not param.hidden
        }
        for name, command in commands().items()
    }
    assert {name: options - {"--help"} for name, options in held.items()} == written


SETTINGS = {f"BESOM_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", [*TEXTS, *DEPLOY])
def test_variables_exist(name: str) -> None:
    """Every BESOM_ variable that is named is a setting, or one that an agent sets."""
    named = set(re.findall(r"\bBESOM_[A-Z_]*[A-Z]\b", {**TEXTS, **DEPLOY}[name]))
    assert named - SETTINGS - CHILD - RUN == set()


def test_every_setting_is_documented() -> None:
    """The table in operations.md has a row for each setting, and for no other."""
    rows = set(re.findall(r"^\| `(BESOM_\w+)` \|", TEXTS["docs/operations.md"], re.MULTILINE))
    assert rows - RUN == SETTINGS - RUN
    assert rows >= RUN
    assert set(re.findall(r"`(BESOM_\w+)`", TEXTS["docs/operations.md"])) >= CHILD


def test_documented_defaults_are_so() -> None:
    """Numbers and words in the table's second column are the settings' defaults."""
    rows = re.findall(r"^\| `BESOM_(\w+)` \| `?([\w.]+)`? \|", TEXTS["docs/operations.md"], re.MULTILINE)
    told = {name.lower(): default for name, default in rows if name.lower() in Settings.model_fields}
    fields = {name: Settings.model_fields[name].default for name in told}
    fields = {name: default for name, default in fields.items() if default is not None}
    shown = {
        name: str(default).lower() if isinstance(default, bool | str) else f"{default:g}"
        for name, default in fields.items()
    }
    assert shown == {name: told[name] for name in shown}
    assert len(shown) > 8


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """Every link to a file of the clone has its file, and its heading."""
    for target in re.findall(r"\]\(([^)#\s]*(?:#[\w-]+)?)\)", TEXTS[name]):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name}: {target}"
        if heading:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_named_modules_exist(name: str) -> None:
    """Every file of the package or the tests that a document names is there."""
    named = set(re.findall(r"`((?:besom|tests|deploy|examples|docs)/[\w./@-]+)`", TEXTS[name]))
    named |= {f"besom/{path}" for path in re.findall(r"`((?:tracking|controller|broker)/[\w/]+\.py)`", TEXTS[name])}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_example_is_a_sweep() -> None:
    """The sweep file of the demo is accepted, and its program lies beside it."""
    folder = ROOT / "examples" / "digits"
    config = parse(read_sweep_file(folder / "sweep.yaml"))
    assert config.warnings == ()
    assert config.program is not None
    assert (folder / config.program).is_file()


def test_compose_file() -> None:
    """It is YAML with the three services; Redis keeps an append-only file, and no argument list holds the password."""
    compose = YAML(typ="safe", pure=True).load(DEPLOY["deploy/compose.yaml"])
    services = compose["services"]
    assert set(services) == {"redis", "controller", "agent"}
    script = services["redis"]["command"][-1]
    assert "appendonly yes" in script
    assert "maxmemory-policy noeviction" in script
    argv = [
        str(service.get(key, "")) for service in services.values() for key in ("command", "entrypoint", "healthcheck")
    ]
    assert not any("REDIS_PASSWORD" in text or "redis://" in text for text in argv)
    assert not any("--requirepass" in text or " -a " in text for text in argv)
    volumes = [place.split(":")[0] for service in services.values() for place in service.get("volumes", ())]
    assert {place for place in volumes if re.fullmatch(r"[\w-]+", place)} == set(compose["volumes"])
    variables = set(re.findall(r"\$\{(\w+)", DEPLOY["deploy/compose.yaml"]))
    assert variables == set(re.findall(r"^(\w+)=", DEPLOY["deploy/.env.example"], re.MULTILINE))


@pytest.mark.parametrize("unit", ["deploy/besom-controller.service", "deploy/besom-agent@.service"])
def test_systemd_units(unit: str) -> None:
    """They run besom as its own user, end it with SIGTERM, and take secrets from a file only."""
    lines = [line for line in DEPLOY[unit].splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if line.startswith("[")] == ["[Unit]", "[Service]", "[Install]"]
    keys = dict(line.split("=", 1) for line in lines if "=" in line)
    assert (keys["User"], keys["KillSignal"], keys["EnvironmentFile"]) == ("besom", "SIGTERM", "/etc/besom/besom.env")
    assert "redis://" not in DEPLOY[unit]
    assert int(keys["TimeoutStopSec"]) > Settings().kill_delay_seconds + 5


def test_versions_agree() -> None:
    """The version stands once in the package, and everywhere else the same."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == besom.__version__
    assert f"## [{besom.__version__}]" in TEXTS["CHANGELOG.md"]
    assert set(re.findall(r"\bbesom:(\d[\w.]*)", "".join([*DEPLOY.values(), *TEXTS.values()]))) == {besom.__version__}
