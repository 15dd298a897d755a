"""Record what wandb itself does with each case: `python -m tests.conformance.record FILE`, where wandb is installed.

The `.wandb` files are read with wandb's own message classes, so that our reader can be held against this record.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance import cases_log, cases_media, cases_run, cases_torch
from tests.conformance.bench import Bench, Case, cases_in, plain_json
from tests.conformance.files import decoded, shown_files

_QUIET = {
    "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true", "WANDB_X_DISABLE_STATS": "true", "WANDB__DISABLE_STATS": "true",
}  # fmt: skip


def main() -> None:
    """Run the cases and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="", help="Cases whose names contain this.")
    given = parser.parse_args()
    os.environ |= _QUIET
    import wandb

    target = given.file.absolute()
    held = json.loads(target.read_text()) if given.only and target.exists() else {"cases": {}}
    for name, case in cases_in(cases_run, cases_log, cases_media, cases_torch).items():
        if given.only in name:
            held["cases"][name] = record(case, wandb)
            print(name, file=sys.stderr)
    versions = {"wandb": wandb.__version__}
    for package in ("numpy", "pandas", "PIL", "torch"):
        versions[package] = __import__(package).__version__
    target.write_text(json.dumps({"versions": versions, "cases": held["cases"]}, indent=1, sort_keys=True) + "\n")


def record(case: Case, wandb: Any) -> dict[str, Any]:
    """What one case does and leaves."""
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        bench = Bench(wandb, Path(place))
        try:
            seen, error = plain_json(case(bench)), ""
        except Exception as problem:
            seen, error = None, type(problem).__name__
        bench.finish()
        runs = [read_run(path) for path in sorted(Path(place).glob("wandb/offline-run-*/*.wandb"), key=_made)]
        os.chdir("/")
        return {"seen": seen, "error": error, "runs": runs}


def _made(path: Path) -> int:
    return path.stat().st_ctime_ns


def read_run(path: Path) -> dict[str, Any]:
    """What a `.wandb` file holds, by wandb's own message classes."""
    from wandb.proto import wandb_internal_pb2 as messages

    run: dict[str, Any] = {"history": [], "summary": {}, "config": {}, "metrics": [], "about": {}, "exit_code": None}
    for content in pieces(path.read_bytes()):
        told = messages.Record.FromString(content)
        kind = told.WhichOneof("record_type")
        if kind == "run":
            about = told.run
            run["about"] = {
                "id": about.run_id, "name": about.display_name, "project": about.project, "entity": about.entity,
                "group": about.run_group, "job_type": about.job_type, "tags": sorted(about.tags), "notes": about.notes,
            }  # fmt: skip
            changed(run["config"], about.config)
        elif kind in ("config", "summary"):
            changed(run[kind], getattr(told, kind))
        elif kind == "history":
            row: dict[str, Any] = {}
            for item in told.history.item:
                put(row, item)
            run["history"].append(row)
        elif kind == "metric":
            run["metrics"].append(metric(told.metric))
        elif kind == "exit":
            run["exit_code"] = told.exit.exit_code
    run["files"] = shown_files(run["history"], lambda told: decoded(path.parent / "files" / told["path"]))
    for part in (run["summary"], run["config"], *run["history"]):
        for name in ("_timestamp", "_runtime", "_wandb"):
            part.pop(name, None)
    return {name: plain_json(value) for name, value in run.items()}


def changed(held: dict[str, Any], record: Any) -> None:
    """Apply a record of config or summary."""
    for item in record.update:
        put(held, item)
    for item in record.remove:
        *path, last = item.nested_key or [item.key]
        inside: Any = held
        for name in path:
            inside = inside.get(name, {})
        inside.pop(last, None)


def put(held: dict[str, Any], item: Any) -> None:
    """Put an item's value where its key says."""
    *path, last = item.nested_key or [item.key]
    for name in path:
        if not isinstance(held.get(name), dict):
            held[name] = {}
        held = held[name]
    held[last] = json.loads(item.value_json)


def metric(told: Any) -> dict[str, Any]:
    """One definition."""
    kinds = [kind for kind in ("min", "max", "mean", "last", "first", "none") if getattr(told.summary, kind)]
    return {
        "name": told.name or told.glob_name, "step_metric": told.step_metric, "step_sync": told.options.step_sync,
        "hidden": told.options.hidden, "summary": kinds, "overwrite": told._control.overwrite,
    }  # fmt: skip


def pieces(content: bytes) -> Iterator[bytes]:
    """The records of a whole file, from LevelDB's log format."""
    at, held = 7, b""
    while at < len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        held += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield held
            held = b""


if __name__ == "__main__":
    main()
