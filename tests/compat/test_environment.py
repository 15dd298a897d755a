"""`besom exec`: an unchanged script, and its child, log to besom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.compat.environment import with_stand_in
from besom.compat.finder import VERSION
from besom.messages import RunEnded, RunStarted
from tests.redis_server import RedisServer
from tests.tracking.desk import decoded, events

SCRIPT = """
import subprocess, sys
import wandb
from wandb.sdk.lib import config_util

wandb.init(project="mine", id=sys.argv[1], config={"lr": 0.1})
wandb.log({"loss": wandb.config.lr})
wandb.finish()
if sys.argv[1] == "parent":
    subprocess.run([sys.executable, __file__, "child"], check=True)
"""


CHILDREN = """
import multiprocessing
import wandb

def own_run(name):
    with wandb.init(project="mine", id=name) as run:
        run.config.update({"late": name})
        run.log({"loss": 2.0})

def same_run(name):
    wandb.log({name: 3.0})

if __name__ == "__main__":
    wandb.init(project="mine", id="parent")
    wandb.log({"loss": 1.0})
    for method, target in (("spawn", own_run), ("forkserver", own_run), ("fork", same_run)):
        child = multiprocessing.get_context(method).Process(target=target, args=(method,))
        child.start()
        child.join()
        assert child.exitcode == 0, method
    wandb.log({"loss": 0.5})
"""


LOOK = """
from importlib.util import find_spec
print(find_spec("wandb"), find_spec("wandb"), "ran")
"""
DISTRIBUTION = """
import sys, importlib.metadata as metadata
assert metadata.version("numpy") and "besom" not in sys.modules
print(metadata.version("wandb"), metadata.version("wandb"), "besom.tracking" in sys.modules)
"""


def execute(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "besom", "exec", "--", *command], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.redis
def test_a_script_and_its_child(redis_server: RedisServer, tmp_path: Path) -> None:
    """A script that imports wandb records a run, and so does the process that it starts."""
    (tmp_path / "train.py").write_text(SCRIPT)
    done = execute(sys.executable, str(tmp_path / "train.py"), "parent", BESOM_REDIS_URL=redis_server.url)
    assert done.returncode == 0, done.stderr
    connection = Connection(redis_server.url)
    told = [event.info() for event in events(connection, RunStarted)]
    assert [(info["name"], info["project"], info["config"]) for info in told] == [("", "mine", {"lr": 0.1})] * 2
    assert [event.run for event in events(connection, RunEnded)] == ["parent", "child"]
    assert decoded(connection, "child")["loss"] == [(0, 0.1)]
    connection.close()


@pytest.mark.redis
def test_children_of_multiprocessing(redis_server: RedisServer, tmp_path: Path) -> None:
    """A child that is spawned finds the stand-in and records its own run; one that is forked logs to its parent's."""
    (tmp_path / "train.py").write_text(CHILDREN)
    done = execute(sys.executable, str(tmp_path / "train.py"), BESOM_REDIS_URL=redis_server.url)
    assert done.returncode == 0, done.stderr
    connection = Connection(redis_server.url)
    assert [event.run for event in events(connection, RunEnded)] == ["spawn", "forkserver", "parent"]
    assert decoded(connection, "spawn")["loss"] == decoded(connection, "forkserver")["loss"] == [(0, 2.0)]
    parent = decoded(connection, "parent")
    assert (parent["loss"], [value for _, value in parent["fork"]]) == ([(0, 1.0), (1, 0.5)], [3.0])
    connection.close()


def test_the_exit_code_and_streams_are_the_programs() -> None:
    """What the program prints and ends with is what the command prints and ends with; options stay its own."""
    done = execute(sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "--help", "-x")
    assert (done.returncode, done.stdout, done.stderr) == (7, "['--help', '-x']\n", "")


def test_the_distribution_is_found_first() -> None:
    """A program may ask for wandb's version before it imports it; one that does neither never loads besom."""
    done = execute(sys.executable, "-c", DISTRIBUTION)
    assert (done.stdout, done.stderr) == (f"{VERSION} {VERSION} False\n", "")


def test_a_program_that_is_not_there() -> None:
    """The command says which, and exits with 2."""
    done = execute("no-such-program")
    assert (done.returncode, done.stderr) == (2, "besom: no-such-program cannot be run: No such file or directory\n")


def test_another_sitecustomize_runs_too(tmp_path: Path) -> None:
    """The one that ours hides, such as the system's, does its work as before."""
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['SITE'] = 'was here'\n")
    code = "import os, json, sys; print(json.dumps([os.environ['SITE'], 'wandb' in sys.modules]))"
    folders = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = execute(sys.executable, "-c", code, PYTHONPATH=os.pathsep.join(folders))
    assert json.loads(done.stdout) == ["was here", False], done.stderr


def test_a_python_without_besom_says_so(tmp_path: Path) -> None:
    """Where besom cannot be imported a look for wandb finds nothing, with one line on stderr."""
    environment = with_stand_in({**os.environ, "PYTHONPATH": ""})
    hidden = tmp_path / "besom.py"
    hidden.write_text("raise ImportError('not here')\n")
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "None None ran\n"
    assert done.stderr == f"besom: {sys.executable} has no besom, so nothing stands in for wandb there\n"


def test_the_environment() -> None:
    """The folder comes first, once, and what PYTHONPATH had stays."""
    once = with_stand_in({"PYTHONPATH": "/a::/b", "HOME": "/h"})
    assert with_stand_in(once) == once
    assert once["HOME"] == "/h"
    first, *others = once["PYTHONPATH"].split(os.pathsep)
    assert others == ["/a", "", "/b"]
    assert (Path(first) / "sitecustomize.py").is_file()
    assert os.pathsep not in with_stand_in({})["PYTHONPATH"]
