"""The points of a finite space with conditions, counted and found by index without listing them.

Reads: how many values each dimension has, and which of them other dimensions depend on.  Gives: the count, and the
digits of the point at an index. Without conditions it is a mixed radix. Knows nothing of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from besom.errors import ConfigError

__all__ = ["Branches"]

MAX_STATES = 20_000
"""Sets of absent dimensions that are told apart at one dimension; a space of a human has a few."""

State = frozenset[int]
"""Later dimensions already known to be absent."""


class Branches:
    """The tree of choices, one level for each dimension, in which equal subtrees are kept once.

    Args:
        sizes: Values of each dimension.
        conditions: For each dimension, an earlier dimension and the indices that it must have, all of these at once.

    Raises:
        ConfigError: the conditions are entangled beyond what can be counted.
    """

    def __init__(self, sizes: Sequence[int], conditions: Sequence[Mapping[int, frozenset[int]]]) -> None:
        self._runs = [_runs(size, position, conditions) for position, size in enumerate(sizes)]
        """For each dimension, runs of values with the same consequence: their number, and what they make absent."""
        self._followers = [
            frozenset(later for later, needs in enumerate(conditions) if position in needs)
            for position in range(len(sizes))
        ]
        self._counts = self._count()

    @property
    def count(self) -> int:
        """How many points."""
        return self._counts[0][frozenset()]

    def digits(self, index: int) -> list[int]:
        """Which value each dimension has in the point at `index`; 0 for an absent one. The last turns fastest."""
        digits: list[int] = []
        state: State = frozenset()
        for position in range(len(self._runs)):
            first = 0
            for length, following in self._choices(position, state):
                below = self._counts[position + 1][following]
                if index < length * below:
                    step, index = divmod(index, below)
                    digits.append(first + step)
                    state = following
                    break
                index -= length * below
                first += length
        return digits

    def _choices(self, position: int, state: State) -> list[tuple[int, State]]:
        """Runs of values that the dimension has in this state, and the state after each."""
        rest = state - {position}
        if position in state:
            return [(1, rest | self._followers[position])]
        return [(length, rest | absent) for length, absent in self._runs[position]]

    def _count(self) -> list[dict[State, int]]:
        reached: list[set[State]] = [{frozenset()}]
        for position in range(len(self._runs)):
            following = {after for state in reached[-1] for _, after in self._choices(position, state)}
            if len(following) > MAX_STATES:
                raise ConfigError("parameters: the conditions (when) depend on each other in too many ways; use fewer")
            reached.append(following)
        counts: list[dict[State, int]] = [dict.fromkeys(reached[-1], 1)]
        for position in reversed(range(len(self._runs))):
            below = counts[-1]
            counts.append({
                state: sum(length * below[after] for length, after in self._choices(position, state))
                for state in reached[position]
            })  # fmt: skip
        return counts[::-1]


def _runs(size: int, position: int, conditions: Sequence[Mapping[int, frozenset[int]]]) -> list[tuple[int, State]]:
    wanted = {later: needs[position] for later, needs in enumerate(conditions) if position in needs}
    special = sorted({index for indices in wanted.values() for index in indices})
    runs: list[tuple[int, State]] = []
    done = 0
    for index in special:
        if index > done:
            runs.append((index - done, frozenset(wanted)))
        runs.append((1, frozenset(later for later, indices in wanted.items() if index not in indices)))
        done = index + 1
    if size > done:
        runs.append((size - done, frozenset(wanted)))
    return runs
