"""Record what wandb itself does with each case: `python -m tests.conformance.record FOLDER`, where wandb is installed.

The `.wandb` files are read with wandb's own message classes, so that our reader can be held against this record.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance import cases_log, cases_media, cases_run, cases_torch
from tests.conformance.bench import Bench, Case, cases_in, plain_json
from tests.conformance.files import decoded, shown_files
from tests.conformance.samples import record_samples

_QUIET = {
    "WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true", "WANDB_X_DISABLE_STATS": "true", "WANDB__DISABLE_STATS": "true",
}  # fmt: skip


def main() -> None:
    """Run the cases and write the record to FOLDER/wandb_contract.json, and the samples to FOLDER/wandb_samples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    target = parser.parse_args().folder.absolute()
    _record_samples(target / "wandb_samples")
    os.environ |= _QUIET
    import wandb

    cases = cases_in(cases_run, cases_log, cases_media, cases_torch)
    with tempfile.TemporaryDirectory() as place:
        told = {name: play(case, wandb, Path(place, name)) for name, case in cases.items()}
        wandb.teardown()  # what finish() leaves under way is written when this returns
        for name, held in told.items():
            held["runs"] = read_runs(Path(place, name))
    versions = {"wandb": wandb.__version__}
    for package in ("numpy", "pandas", "PIL", "plotly", "torch"):
        versions[package] = __import__(package).__version__
    lines = [f"{json.dumps(name)}: {json.dumps(held, sort_keys=True)}" for name, held in sorted(told.items())]
    text = ",\n".join(lines)
    (target / "wandb_contract.json").write_text(
        f'{{"versions": {json.dumps(versions)},\n"cases": {{\n{text}\n}}}}\n', encoding="utf-8"
    )


def _record_samples(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="wandb-sample-") as place:
        found = record_samples(target, Path(place))
    told = {kind: {"file": path.relative_to(target).as_posix(), **read_run(path)} for kind, path in found.items()}
    (target / "samples.json").write_text(json.dumps(told, sort_keys=True) + "\n", encoding="utf-8")


def play(case: Case, wandb: Any, place: Path) -> dict[str, Any]:
    """What one case gives or raises."""
    from wandb.sdk import wandb_watch

    wandb_watch._global_watch_idx = 0  # as in a process of the case's own
    place.mkdir()
    os.chdir(place)
    bench = Bench(wandb, place)
    try:
        return {"seen": plain_json(case(bench)), "error": ""}
    except Exception as problem:
        return {"seen": None, "error": type(problem).__name__}
    finally:
        bench.finish()
        os.chdir("/")


def read_runs(place: Path) -> list[dict[str, Any]]:
    """What the runs of a case left, in the order of their making."""
    found = [read_run(path) for path in sorted(place.glob("wandb/offline-run-*/*.wandb"), key=_made)]
    return [run for run in found if run["about"]]  # an init() that raises leaves a file that tells of no run


def _made(path: Path) -> int:
    return path.parent.stat().st_mtime_ns  # the folder changes when the file is made


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
    """The records of a file up to its end or to where it was cut off, from LevelDB's log format."""
    at, held = 7, b""
    while at + 7 < len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        if at + 7 + length > len(content):
            return
        held += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield held
            held = b""


if __name__ == "__main__":
    main()
