"""The house itself: who may import whom, how long a function is, what no tracked file may hold."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "besom"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"errors", "failpoint", "settings", "messages", "macros", "disk", "launcher"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "failpoint": set(),
    "launcher": set(),
    "macros": set(),
    "settings": {"errors"},
    "messages": {"errors"},
    "disk": {"errors"},
    "strategies": {"errors", "messages"},
    "broker": BASE,
    "tracking": BASE | {"broker", "strategies"},
    "agent": BASE | {"broker", "tracking"},
    "controller": BASE | {"broker", "tracking", "strategies"},
    "dashboard": BASE | {"broker", "tracking"},
    "integration": {"errors", "tracking"},
    "compat": {"errors", "integration"},
    "cli": BASE | {"compat", "strategies", "broker", "tracking", "agent", "controller", "dashboard"},
}
"""Rooms, and the rooms that each may import besides itself. Lower ones never know the upper ones."""

IN_TRACKING: dict[str, set[str]] = {
    "": set(),
    "blobs": {""},
    "media": {"", "blobs"},
    "artifacts": {"", "blobs", "media"},
    "store": {"", "blobs", "media"},
    "recording": {"", "store"},
    "reading": {"", "blobs", "artifacts", "store"},
    "writing": {"", "blobs"},
    "watching": {"", "blobs", "media"},
    "run": {"", "blobs", "media", "artifacts", "writing", "watching"},
    "wandb_files": {"", "blobs", "artifacts", "writing", "watching", "run"},
}
"""The same for the rooms of tracking; modules that several share stand in tracking itself."""

ASKED_LATE = {"besom.tracking.reading.api"}
"""What any room of tracking may import inside a function: who goes on with a run or uses an artifact reads."""

NEEDS_MORE = {"besom.integration.xgboost"}
"""Modules that import at their head what besom does not depend on; tests/integrations imports them."""

SCRIPTS = {"launcher", "sitecustomize", "__main__", "__init__"}
LONGEST = 60


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    told = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) and first.end_lineno else 0
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1 - told


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """besom.broker.keys stands in broker; besom itself is the door."""
    return module.split(".")[1] if "." in module else ""


def tracking_room_of(module: str) -> str:
    """besom.tracking.store.rows stands in store; besom.tracking.values in tracking itself."""
    room = ".".join(module.split(".")[2:3])
    return room if (PACKAGE / "tracking" / room).is_dir() else ""


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _named(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Our modules that an import statement names; `from besom.x import y` may name the module y."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        assert node.level == 0, f"a relative import of {node.module}; write it from besom"
        base = node.module or ""
        names = [inner if (inner := f"{base}.{alias.name}") in MODULES else base for alias in node.names]
    for name in names:
        if name == "besom" or name.startswith("besom."):
            yield name


def imports_of(path: Path) -> list[str]:
    """Every module of ours that a file imports, wherever in it."""
    nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name for node in nodes for name in _named(node)]


def top_imports_of(path: Path) -> list[str]:
    """Those that importing the file carries out at once: neither inside a function nor for type checkers only."""

    def walk(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from walk(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node
                for part in ("body", "orelse", "finalbody"):
                    yield from walk(getattr(node, part, []))

    nodes = [node for node in walk(tree_of(path).body) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [name for node in nodes for name in _named(node)]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"besom", "besom.__main__"}))
def test_imports_point_one_way(module: str) -> None:
    """A room imports the rooms below it and no other; agent, controller and dashboard do not know each other."""
    room = room_of(module)
    assert room in MAY_IMPORT, f"{room} has no place in the order of rooms"
    reached = {room_of(name) for name in imports_of(MODULES[module])} - {room}
    if room in ("cli", "compat"):
        reached.discard("")  # the version, the place of the package; what compat stands in for is all behind the door
    assert reached <= MAY_IMPORT[room], f"{module} imports {sorted(reached - MAY_IMPORT[room])}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("besom.tracking.")))
def test_imports_in_tracking_point_one_way(module: str) -> None:
    """What is kept does not know who writes, nor does what reads; a run stands on all that writes it."""
    room = tracking_room_of(module)
    named = {name for name in imports_of(MODULES[module]) if name.startswith("besom.tracking")}
    late = ASKED_LATE - set(top_imports_of(MODULES[module]))
    reached = {tracking_room_of(name) for name in named - late} - {room}
    assert reached <= IN_TRACKING[room], f"{module} imports {sorted(reached - IN_TRACKING[room])}"


def test_the_door_imports_nothing_at_once() -> None:
    """`import besom` loads no room."""
    assert top_imports_of(MODULES["besom"]) == []


def test_no_import_cycle() -> None:
    """Modules can be put into an order in which each imports only earlier ones."""
    wanted = {module: set(top_imports_of(path)) - {module} for module, path in MODULES.items()}
    wanted["besom.__main__"] = set()
    ordered: set[str] = set()
    while ready := {module for module, needs in wanted.items() if module not in ordered and needs <= ordered}:
        ordered |= ready
    assert set(wanted) - ordered == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_functions_are_short(path: Path) -> None:
    """No function is longer than a screen, its docstring not counted."""
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {node.name: lines_of(node) for node in functions if lines_of(node) > LONGEST} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_importing_a_module_prints_nothing(path: Path) -> None:
    """No call of `print` stands outside a function."""
    inside = {
        id(call)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for call in ast.walk(node)
    }
    prints = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "click.echo") and id(node) not in inside
    ]
    assert prints == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_every_module_says_what_it_is(path: Path) -> None:
    """Each begins with a docstring."""
    assert ast.get_docstring(tree_of(path))


WITH_FACE = [module for module, path in MODULES.items() if "migrations" not in path.parts and path.stem not in SCRIPTS]


@pytest.mark.parametrize("module", sorted(set(WITH_FACE) - NEEDS_MORE))
def test_every_module_has_a_face(module: str) -> None:
    """`__all__` is there, without repeats, and every name in it exists."""
    imported = importlib.import_module(module)
    face = getattr(imported, "__all__", None)
    assert face is not None, f"{module} has no __all__"
    assert len(face) == len(set(face))
    assert [name for name in face if not hasattr(imported, name)] == []


def tracked() -> list[Path]:
    """The files that git knows, or would take in; all of them where there is no git."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


_MACHINE = re.compile(r"(?<![\w.])/(?:work/(?:main|shared)|root/|home/(?!of-test)[a-z]+/|tmp/brief|Users/\w+/)")
_REGISTRY = re.compile(
    r"\b(?:pypi|files\.pythonhosted|registry\.npmjs|conda\.anaconda)\.(?:org|com)|--(?:extra-)?index-url"
    r"|\b(?:artifactory|nexus|devpi|pypi-mirror)\b",
    re.IGNORECASE,
)


def test_no_path_of_a_machine() -> None:
    """A clone works wherever it lies: no tracked file names a developer's folder."""
    own = f"tests/{Path(__file__).name}"
    found = [(name, hit[0]) for name, text in texts() if name != own and (hit := _MACHINE.search(text))]
    assert found == []


@pytest.mark.parametrize("names", [("constraints.txt", "pyproject.toml", "Makefile"), (".ci/run", ".ci/packages")])
def test_no_registry_is_named(names: tuple[str, ...]) -> None:
    """Where packages come from is the business of the machine that installs them."""
    hits = {name: _REGISTRY.findall((ROOT / name).read_text(encoding="utf-8")) for name in names}
    assert hits == {name: [] for name in names}


def test_constraints_are_exact() -> None:
    """Every line pins one version; nothing is left of the machine that wrote them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+]+", line)] == []
    assert len({line.partition("==")[0].lower().replace("_", "-") for line in pins}) == len(pins)


def test_every_dependency_is_pinned() -> None:
    """What pyproject.toml asks for has its tested version in constraints.txt."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(name for some in project["optional-dependencies"].values() for name in some)]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in pins if "==" in line}
    names = {re.split(r"[\[<>=;, ]", name)[0].lower().replace("_", "-") for name in wanted}
    assert names - pinned == set()
