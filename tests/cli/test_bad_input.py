"""Bad input through the real command: one clear message, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from besom.broker.service import Service
from besom.cli import main

PASSWORD = "hunter2"
NOTHING = "no-such-file-here.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's working folder; whatever starts a process fails the test."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def refuse(*arguments: object, **_: object) -> None:
        pytest.fail(f"started {arguments}")

    monkeypatch.setattr(Service, "_start", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    return here


def refused(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """What stderr says when the command refuses its arguments, after checking all that holds for every refusal."""
    before = sorted(root.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 2, out + err
    assert "Traceback" not in out + err
    assert PASSWORD not in out + err
    assert out == ""
    assert sorted(root.rglob("*")) == before, "something was left behind"
    return err


ONE = "parameters: {x: {min: 0.0, max: 1.0}}"
RANDOM = "method: random\n"

FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, f"{NOTHING!r}: no such file in"),
    "empty": (b"", "the file is empty; write at least method: and parameters:"),
    "only a comment": (b"# soon\n", "the file is empty"),
    "not YAML": (b"method: [random\nx: 1\n", ":2:2: not YAML"),
    "colon in a text": (b"name: a: b\n", "put a text that holds ': ' in quotes"),
    "not UTF-8": (b"method: random\nname: caf\xe9\n", ":2:10: not UTF-8; save the file as UTF-8"),
    "binary": (b"\x7fELF\x00\x01", ":1:1: not YAML"),
    "tabs": (b"method: random\nparameters:\n\tx: {value: 1}\n", "indent with spaces, not tabs"),
    "a key twice": (b"method: random\nmethod: grid\n", ":2:1: the key 'method' stands here a second time"),
    "a key twice in JSON": (b'{"method": "grid", "method": "grid"}', "the key 'method' stands here a second time"),
    "two documents": (b"method: random\n---\nmethod: grid\n", "keep one document, and remove what follows"),
    "a list": (b"- method: random\n", "is not a mapping; write keys such as method: random"),
    "a text": (b"random\n", "'random' is not a mapping"),
    "too large": (b"method: random\n#" + b"x" * 262_144, "above 256 kB; write ranges or fewer values"),
    "aliases in aliases": (
        b"a: &a [1,1,1,1,1,1,1,1,1]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in b"bcdefghi"),
        "the aliases expand to more than 262144 values",
    ),
    "an alias inside itself": (b"a: &a [*a]\n", "an alias inside itself"),
    "a tag": (b"method: !!python/object/apply:os.system [ls]\n", "the tag"),
    "old YAML": (b"%YAML 1.1\n---\nmethod: random\n", "the file is read as YAML 1.2"),
    "deep": (b"a: " + b"[" * 3000, "nested too deep"),
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("command", ["sweep", "run"])
def test_a_file_that_cannot_be(
    command: str, case: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there or no sweep is named with line and column, and nothing starts."""
    content, said = FILES[case]
    if content is not None:
        (folder / "sweep.yaml").write_bytes(content)
    name = NOTHING if content is None else "sweep.yaml"
    err = refused(capsys, tmp_path, command, name)
    assert err.startswith(("besom: sweep.yaml:", f"besom: {NOTHING!r}:"))
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_is_no_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is refused with what to write."""
    (folder / "config").mkdir()
    assert "config: is a directory; write the path of a file in it" in refused(capsys, tmp_path, "sweep", "config")


CONFIGS = [
    ("name: x\n" + ONE, "method: missing; write method: with grid, random or bayes"),
    ("method: randon\n" + ONE, "method: 'randon' cannot be; write grid, random or bayes (nearest: random)"),
    ("method: 3\n" + ONE, "method: 3 cannot be"),
    ("method: custom\n" + ONE, "method: 'custom' needs a search of W&B's own; write grid, random or bayes"),
    (RANDOM, "parameters: missing"),
    (RANDOM + "parameters: {}", "parameters: {} is empty; write at least one parameter"),
    (RANDOM + "parameters: [x]", 'parameters: ["x"] is not a mapping'),
    (RANDOM + "parameters: {lr: 0.1}", "parameters.lr: 0.1 is not a parameter; write {value: 0.1}"),
    (RANDOM + "parameters: {lr: [1, 2]}", "parameters.lr: [1, 2] is not a parameter; write {values: [1, 2]}"),
    (RANDOM + "parameters: {lr: }", "parameters.lr: null is not a parameter"),
    (RANDOM + "parameters: {lr: {}}", "parameters.lr: {} has no form; write one of"),
    (RANDOM + "parameters: {1lr: {value: 1}}", "'1lr' is no name; write a letter or _"),
    (RANDOM + "parameters: {a/b: {value: 1}}", "'a/b' is no name"),
    (RANDOM + "parameters: {3: {value: 1}}", "the key 3 is no text; write it in quotes"),
    (RANDOM + "parameters: {x: {vales: [1]}}", "parameters.x.vales: [1] stands under an unknown key; write values"),
    (RANDOM + "parameters: {x: {values: []}}", "parameters.x.values: [] cannot be; write a list of at least one"),
    (RANDOM + "parameters: {x: {values: 3}}", "parameters.x.values: 3 cannot be"),
    (RANDOM + "parameters: {x: {values: [1], probabilities: [2]}}", "sum to 2; write numbers that sum to 1"),
    (RANDOM + "parameters: {x: {min: 0.0, max: 1.0, mean: 2}}", "parameters.x.mean: 2 stands under an unknown key"),
    (RANDOM + "parameters: {x: {min: 0.0, max: 1.0, q: 2}}", "write distribution: q_uniform with it, or remove q"),
    (RANDOM + "parameters: {x: {min: 1}}", "parameters.x.max: missing"),
    (RANDOM + "parameters: {x: {min: 2, max: 1}}", "parameters.x: min 2 is not below max 1; write a min below max"),
    (RANDOM + "parameters: {x: {min: 1.0, max: 1.0}}", "min 1.0 is not below max 1.0"),
    (RANDOM + "parameters: {x: {min: low, max: 1}}", "parameters.x.min: 'low' cannot be; write a number"),
    (RANDOM + "parameters: {x: {min: true, max: 3}}", "parameters.x.min: true cannot be"),
    (RANDOM + "parameters: {x: {min: .nan, max: 1.0}}", "parameters.x.min: NaN is no finite number"),
    (RANDOM + "parameters: {x: {distribution: gauss, mu: 0}}", "'gauss' is no distribution; write one of constant"),
    (RANDOM + "parameters: {x: {distribution: unifrm, min: 0, max: 1}}", "'unifrm' is no distribution; write uniform"),
    (RANDOM + "parameters: {x: {distribution: normal, sigma: -1}}", "x.sigma: -1 cannot be; write the"),
    (RANDOM + "parameters: {x: {mu: 0, sigma: 1}}", "names no distribution; add distribution: normal"),
    (RANDOM + "parameters: {x: {distribution: log_uniform_values, min: 0, max: 1}}", "x.min: 0 cannot be; write a"),
    (RANDOM + "parameters: {x: {distribution: log_uniform_values, min: -1, max: 1}}", "x.min: -1 cannot be"),
    (RANDOM + "parameters: {x: {distribution: q_uniform, min: 0, max: 1, q: 0}}", "x.q: 0 cannot be; write a number"),
    (RANDOM + "parameters: {x: {distribution: q_uniform, min: 0, max: 1, q: -0.5}}", "x.q: -0.5 cannot be"),
    (RANDOM + "parameters: {x: {distribution: q_uniform, min: 0, max: 1, q: 5}}", "q 5 is above max - min = 1;"),
    (RANDOM + "parameters: {x: {distribution: int_uniform, min: 0, max: 1.5}}", "x.max: 1.5 cannot be; write a whole"),
    (RANDOM + "parameters: {x: {value: 99999999999999999999}}", "has 67 bits, above 64"),
    (RANDOM + "parameters: {x: {parameters: {y: 1}}}", "parameters.x.parameters.y: 1 is not a parameter"),
    (RANDOM + "parameters: {x: {y: {value: 1}}}", "to nest parameters write {parameters:"),
    ("method: grid\n" + ONE, "is continuous, so no grid covers it; write values: [...]"),
    ("method: bayes\n" + ONE, "metric: missing, and method bayes searches by it; write {name: loss, goal: minimize}"),
    ("method: bayes\nmetric: {name: l}\nparameters: {x: {value: 1}}", "has only constants, nothing for bayes"),
    (RANDOM + ONE + "\nmetric: loss", "metric: 'loss' is not a mapping; write {name: 'loss', goal: minimize}"),
    (RANDOM + ONE + "\nmetric: {goal: minimize}", "metric.name: missing"),
    (RANDOM + ONE + "\nmetric: {name: loss, goal: minimise}", "metric.goal: 'minimise' cannot be; write minimize"),
    (RANDOM + ONE + "\nmetric: {name: loss, target: low}", "metric.target: 'low' cannot be; write a number"),
    (RANDOM + ONE + "\nrun_cap: 0", "run_cap: 0 cannot be; write a whole number above 0, such as 20"),
    (RANDOM + ONE + "\nrun_cap: -1", "run_cap: -1 cannot be"),
    (RANDOM + ONE + "\nrun_cap: 5.1", "run_cap: 5.1 cannot be"),
    (RANDOM + ONE + '\nrun_cap: "1"', "run_cap: '1' cannot be"),
    (RANDOM + ONE + "\nrun_cap: true", "run_cap: true cannot be"),
    (RANDOM + ONE + "\nseed: -1", "seed: -1 cannot be; write a whole number from 0"),
    (RANDOM + ONE + "\nname: 5", "name: 5 cannot be; write a text, in quotes"),
    (RANDOM + ONE + "\nproject: a/b", "project: 'a/b' cannot be; write a text of 1 to 128 characters without /"),
    (RANDOM + ONE + "\nentity: ''", "entity: '' cannot be"),
    (RANDOM + ONE + "\nprogram: [train.py]", "program:"),
    (RANDOM + ONE + "\ncommand: python train.py", 'is one text; write the list ["python", "train.py"]'),
    (RANDOM + ONE + "\ncommand: [python, 3]", "command[1]: 3 cannot be"),
    (RANDOM + ONE + "\ncommand: []", "command: [] cannot be"),
    (
        RANDOM + ONE + "\nmetric: {name: l}\nearly_terminate: {type: hyperband}",
        "hyperband needs its bands; write min_iter: 3",
    ),
    (RANDOM + ONE + "\nscheduler: {engine: optuna}", "remove scheduler, and write method: bayes"),
    (RANDOM + ONE + "\nconstraints: [x > 2]", "'x > 2' holds for none; loosen them or widen the parameters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), CONFIGS, ids=range(len(CONFIGS)))
def test_a_config_that_cannot_be(
    text: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each rule names the file with line and column, the key, the value and what to write, in one line."""
    (folder / "sweep.yaml").write_text(text)
    err = refused(capsys, tmp_path, "sweep", "sweep.yaml")
    assert re.match(r"besom: sweep\.yaml:(\d+:\d+:)? ", err)
    assert said in err
    assert err.count("\n") == 1


def test_all_problems_are_told_at_once(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three faults give three lines, each with the file, the place in it, and the key."""
    (folder / "s.json").write_text(json.dumps({"method": "gird", "run_cap": 0, "parameters": {"lr": 0.1}}))
    err = refused(capsys, tmp_path, "sweep", "s.json")
    assert err.count("\n") == 3
    assert all(place in err for place in ("s.json:1:2: method:", "s.json:1:20: run_cap:", ": parameters.lr:"))


RUNS = [
    (RANDOM + ONE, "program: missing; write the script that trains, such as program: train.py"),
    (RANDOM + ONE + "\nprogram: trian.py", "program: 'trian.py' is no file here, nor in"),
]


@pytest.mark.parametrize(("text", "said"), RUNS, ids=["none", "absent"])
def test_run_needs_a_program(
    text: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`besom run` looks for the program before it starts anything."""
    (folder / "sweep.yaml").write_text(text)
    assert said in refused(capsys, tmp_path, "run", "sweep.yaml")


IDS = ["a b", "a/b/c/d", "", "../x/", "a/", "/", "a?b/c", "x#y", "it's", "a:b", "x" * 129, "a\tb"]


@pytest.mark.parametrize("command", ["agent", "show", "logs", "best", "pause", "resume", "stop", "cancel", "rm"])
@pytest.mark.parametrize("name", IDS)
def test_an_id_that_cannot_be(
    command: str, name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No command opens anything for a name that is no id; the shape of one is told."""
    err = refused(capsys, tmp_path, command, name)
    assert err.startswith(f"besom: {name!r} is not a ")
    assert err.endswith(" id; write id, project/id or entity/project/id\n")


@pytest.mark.parametrize("command", ["agent", "pause", "resume", "stop", "cancel", "rm"])
def test_without_redis_and_service(
    command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What needs Redis, and may not start one, says what to set or start."""
    err = refused(capsys, tmp_path, command, "k3x9a2bq")
    assert "no Redis is configured and no service runs in" in err
    assert "set BESOM_REDIS_URL, or start one with: besom controller" in err


@pytest.mark.parametrize("arguments", [("ls",), ("show", "k3x9a2bq"), ("logs", "k3x9a2bq-1"), ("best", "k3x9a2bq")])
def test_without_a_store(
    arguments: tuple[str, ...], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What reads the store names where it looked, and makes none."""
    err = refused(capsys, tmp_path, *arguments)
    assert f"no store at {tmp_path / 'home' / 'besom.db'}; a controller makes it when it starts" in err


URLS = [
    (f"http://user:{PASSWORD}@h:6379", "the Redis URL 'http://h:6379' cannot be: write redis://"),
    (f"redis://:{PASSWORD}@", "names no host: write redis://"),
    (f"redis://:{PASSWORD}@h:99999/0", "cannot be: write redis://"),
    (f"redis://:{PASSWORD}@h:port/0", "cannot be: write redis://"),
    (f"redis://:{PASSWORD}@h:6379/abc", "'redis://h:6379/abc' ends in 'abc', which is no database number"),
    (f"redis://:x/{PASSWORD}@h:6379/0", "cannot be: write redis://"),
    (f"unix://?password={PASSWORD}", "names no socket: write redis://"),
    (f"redis://:{PASSWORD}@h:6379/0?socket_timeout=soon", "has an option that cannot be"),
    (f"user:{PASSWORD}@h:6379", "cannot be: write redis://"),
    (f"redis:{PASSWORD}@h:6379", "cannot be: write redis://"),
]


@pytest.mark.parametrize("arguments", [("status",), ("ls",), ("agent", "k3x9a2bq"), ("controller",)])
@pytest.mark.parametrize(("url", "said"), URLS)
def test_a_redis_url_that_cannot_be(
    arguments: tuple[str, ...], url: str, said: str, folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A broken URL is refused with the shape of a good one, whoever reads it; its password is not shown."""
    monkeypatch.setenv("BESOM_REDIS_URL", url)
    err = refused(capsys, tmp_path, *arguments)
    assert "the Redis URL '" in err
    assert said in err


OPTIONS = [
    (("controller", "--redis", f"redis://u:{PASSWORD}@h:6379/0"), "put the URL into BESOM_REDIS_URL, or into a file"),
    (("controller", "--redis", "@missing"), "--redis @missing: the file cannot be read (No such file or directory)"),
    (("controller", "--redis", ""), "the Redis URL '' cannot be: write redis://"),
    (("controller", "--redis", "localhost"), "the Redis URL 'localhost' cannot be: write redis://"),
    (("controller", "--http", "bad"), "--http 'bad' cannot be; write HOST:PORT, such as 127.0.0.1:8080"),
    (("controller", "--http", "h:99999"), "--http 'h:99999' cannot be"),
    (("controller", "--http", ""), "--http '' cannot be"),
    (("controller", "--store", f"mysql://u:{PASSWORD}@h/d"), "mysql is not supported; write sqlite:////path/besom.db"),
    (("controller", "--store", "://"), "the store is not a database URL; write sqlite:////path/besom.db"),
    (("controller", "--store", "sqlite://"), "other processes must be able to read it; write sqlite:////path"),
    (("agent", "x", "--count", "0"), "Invalid value for '--count': 0 is not in the range x>=1"),
    (("agent", "x", "--count", "ten"), "Invalid value for '--count': 'ten' is not a valid integer"),
    (("run", "x", "--agents", "0"), "Invalid value for '--agents': 0 is not in the range 1<=x<=1024"),
    (("demo", "--agents", "65"), "Invalid value for '--agents': 65 is not in the range 1<=x<=64"),
    (("show", "x", "--follow", "--json"), "--follow draws a curve and --json prints one document; write one of them"),
    (("sweep", "x", "--project", "a/b"), "project='a/b' cannot be: write a text of 1 to 128 characters without /"),
    (("run", "x", "--entity", "a%b"), "entity='a%b' cannot be: write a text of 1 to 128 characters without /"),
    (("agnet", "x"), "No such command 'agnet'"),
    (("agent", "x", "--cout", "3"), "No such option '--cout'. (Did you mean one of: '--count'"),
    (("agent",), "Missing argument 'SWEEP', or --project P"),
    (("sweep",), "Missing argument 'FILE'"),
    (("best", "a", "b"), "unexpected extra argument (b)"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), OPTIONS, ids=[" ".join(arguments) for arguments, _ in OPTIONS])
def test_an_argument_that_cannot_be(
    arguments: tuple[str, ...], said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option, its value and what to write; the command does nothing."""
    assert said in refused(capsys, tmp_path, *arguments)


@pytest.mark.parametrize("content", [f"redis://:{PASSWORD}@h:6379/x\n", f"http://{PASSWORD}@h\n", "\n"])
def test_a_file_with_a_url_that_cannot_be(
    content: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `--redis @FILE` names is checked like any URL, and its password is not shown."""
    (folder / "url").write_text(content)
    err = refused(capsys, tmp_path, "controller", "--redis", "@url")
    assert "the Redis URL '" in err
    assert "write redis://" in err


SETTINGS = [
    ("BESOM_LEASE_SECONDS", "abc", "input should be a valid number"),
    ("BESOM_LEASE_SECONDS", "0", "input should be greater than 0.05"),
    ("BESOM_NAMESPACE", "a b", "write 1 to 64 letters, digits, dots, _ and -"),
    ("BESOM_PROJECT", "a/b", "write a text of 1 to 128 characters without / \\ # ? % :"),
    ("BESOM_ENTITY", "a#b", "write a text of 1 to 128 characters"),
    ("BESOM_ON_SIGTERM", "die", "input should be 'finish' or 'release'"),
    ("BESOM_JOURNAL_LIMIT_MB", "1.5", "input should be a valid integer"),
    ("BESOM_SILENT", "maybe", "input should be a valid boolean"),
]


@pytest.mark.parametrize(("name", "value", "said"), SETTINGS)
def test_a_setting_that_cannot_be(
    name: str, value: str, said: str, folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The variable, its value and what it takes."""
    monkeypatch.setenv(name, value)
    err = refused(capsys, tmp_path, "status")
    assert err.startswith(f"besom: {name}={value!r} cannot be: ")
    assert said in err


@pytest.mark.parametrize("arguments", [("ls",), ("controller",)])
@pytest.mark.parametrize("kind", ["folder", "text"])
def test_a_store_that_is_none(
    kind: str, arguments: tuple[str, ...], folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A folder, or a file of something else, is named with what to do; the controller starts no Redis for it."""
    place = folder / "store"
    if kind == "folder":
        place.mkdir()
    else:
        place.write_text("no database " * 20)
    monkeypatch.setenv("BESOM_STORE", str(place))
    err = refused(capsys, tmp_path, *arguments)
    assert f"the store at sqlite:///{place}: " in err
    assert ("check that the folder exists" if kind == "folder" else "it is damaged or not a store") in err


def test_a_home_that_is_a_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """BESOM_HOME is named when its folder cannot be made."""
    (folder / "file").write_text("")
    monkeypatch.setenv("BESOM_HOME", str(folder / "file"))
    assert f"the folder {folder / 'file'} cannot be made" in refused(capsys, tmp_path, "controller")
