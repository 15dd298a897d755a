"""What `bayes` and `random` find of the trade-offs of two metrics, as the hypervolume that their trials dominate.

    python -m benchmarks.tradeoffs

Prints the median and the lowest over seeds, and the most that there is. Two problems of four parameters from 0 to 1:
ZDT1 (Zitzler, Deb and Thiele 2000), and the squared distances to two points, whose front is the line between them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from besom.strategies import Dimension, EndedTrial, Params, Space, Uniform, make_strategy

TRIALS, SEEDS, SIZE = 40, range(12), 4
CUBE = Space(tuple(Dimension((f"x{index}",), Uniform(0, 1)) for index in range(SIZE)))
Point = tuple[float, float]


def zdt1(params: Params) -> Point:
    """Its front is 1 - sqrt(x0), where all other parameters are 0."""
    first, *rest = (params[f"x{index}"] for index in range(SIZE))
    g = 1 + 9 * sum(rest) / len(rest)
    return first, g * (1 - math.sqrt(first / g))


def two_points(params: Params) -> Point:
    """Squared distances to (0.2, ...) and (0.7, ...), which are 1 apart."""
    return sum((x - 0.2) ** 2 for x in params.values()), sum((x - 0.7) ** 2 for x in params.values())


def hypervolume(points: list[Point], reference: Point) -> float:
    """The area between the points and the reference, of two metrics to minimise, by slices."""
    area, height = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < height:
            area += (reference[0] - x) * (height - y)
            height = y
    return area


def found(method: str, objective: Callable[[Params], Point], seed: int) -> list[Point]:
    """What the trials of one sweep gave, run one after the other."""
    strategy = make_strategy(method, CUBE, seed=seed, goals=("minimize", "minimize"))
    points: list[Point] = []
    for number in range(1, TRIALS + 1):
        params = strategy.suggest(1)[0]
        points.append(objective(params))
        strategy.update([EndedTrial(number, params, "finished", values=points[-1])], [])
    return points


def main() -> None:
    """Run all of it."""
    fine = [index / 10_000 for index in range(10_001)]
    problems = (
        ("ZDT1", zdt1, (1.1, 3.0), [(x, 1 - math.sqrt(x)) for x in fine]),
        ("two points", two_points, (1.1, 1.1), [(x * x, (1 - x) ** 2) for x in fine]),
    )
    for name, objective, reference, front in problems:
        print(f"{name}: at most {hypervolume(front, reference):.2f}")
        for method in ("random", "bayes"):
            reached = [hypervolume(found(method, objective, seed), reference) for seed in SEEDS]
            print(f"  {method}: median {statistics.median(reached):.2f}, lowest {min(reached):.2f}")


if __name__ == "__main__":
    main()
