"""`besom.restore`: a saved file back from the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from besom.errors import UsageError
from besom.tracking.paths import inside

__all__ = ["restore"]


def restore(name: str, run_path: str, replace: bool, root: str | os.PathLike[str]) -> IO[str]:
    """`Run.restore`."""
    from besom.tracking.reading.api import Api

    try:
        target = Path(root) / inside(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if target.exists() and not replace:
        return target.open(encoding="utf-8", errors="replace")
    api = Api()
    try:
        return api.run(run_path).file(name).download(root, replace=True)
    finally:
        api.close()
