"""Spaces and objectives that several test files search."""

from __future__ import annotations

import math

import numpy as np

from besom.strategies import (
    Categorical,
    Constant,
    Dimension,
    IntUniform,
    LogUniform,
    Params,
    QUniform,
    Space,
    Uniform,
)

MIXED = Space(
    (
        Dimension(("optimizer", "lr"), LogUniform(1e-5, 1.0)),
        Dimension(("optimizer", "name"), Categorical(("adam", "sgd", None))),
        Dimension(("layers",), IntUniform(1, 8)),
        Dimension(("dropout",), QUniform(0.0, 0.9, 0.1)),
        Dimension(("scale",), Uniform(-1.0, 1.0)),
        Dimension(("dataset",), Constant({"name": "digits", "sizes": [8, 8]})),
    )
)
FINITE = Space(
    (
        Dimension(("b",), Categorical((1, 1.0, True, None, "1", [1, 2], {"k": 0}))),
        Dimension(("a", "y"), IntUniform(-1, 2)),
        Dimension(("a", "x"), QUniform(0.1, 0.5, 0.2)),
        Dimension(("c",), Constant(7)),
    )
)
BRANIN = Space((Dimension(("x",), Uniform(-5, 10)), Dimension(("y",), Uniform(0, 15))))
HARTMANN = Space(tuple(Dimension((f"x{i}",), Uniform(0, 1)) for i in range(6)))

_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(params: Params) -> float:
    """Distance to the optimum of Branin's function."""
    x, y = params["x"], params["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887


def hartmann(params: Params) -> float:
    """Distance to the optimum of Hartmann's function in six dimensions."""
    x = np.array([params[f"x{i}"] for i in range(6)])
    return 3.32237 - float(np.array([1, 1.2, 3, 3.2]) @ np.exp(-(_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(axis=1)))


def mixed_loss(params: Params) -> float:
    """Zero at one point of MIXED, more elsewhere."""
    optimizer = params["optimizer"]
    loss = {"adam": 0.0, "sgd": 0.2, None: 0.5}[optimizer["name"]]
    loss += 0.1 * (math.log10(optimizer["lr"]) + 3) ** 2 + 0.05 * abs(params["layers"] - 5)
    return loss + abs(params["dropout"] - 0.3) + 0.1 * params["scale"] ** 2
