"""`patch()`: what is written for TensorBoard goes to the active run too, as with `init(sync_tensorboard=True)`."""

from __future__ import annotations

import os

from besom.tracking.run.tensorboard import follow_all, unfollow_all

__all__ = ["patch", "unpatch"]


def patch(
    save: bool = True,
    tensorboard_x: bool | None = None,
    pytorch: bool | None = None,
    root_logdir: str | os.PathLike[str] = "",
) -> None:
    """Log to the active run the scalars, histograms and images that are written from now on, until `unpatch`.

    Args:
        save: In W&B, keep the event files too; they stay where they are written, and `besom.save` keeps what is to be.
        tensorboard_x: In W&B, watch this library; torch, tensorboardX and TensorFlow are all watched.
        pytorch: As `tensorboard_x`.
        root_logdir: The folder that writers' folders are named from; by default the first writer's.
    """
    follow_all(os.fspath(root_logdir))


def unpatch() -> None:
    """Undo `patch`."""
    unfollow_all()
