"""Which parameter a name means, and when a parameter is there: `when` of a config becomes conditions of a space.

Reads: parameters as they were written.  What is wrong goes to `Problems`.  Knows nothing of strategies' searches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from besom.controller.parameters import Group, Parameter, Parameters, leaves, path_in_config
from besom.controller.sections import Path, Problems, nearest, shown

if TYPE_CHECKING:
    from besom.strategies import Condition

__all__ = ["Leading", "Names", "conditions_of", "read_conditions"]

Leading = tuple[str, ...]
"""The names that lead to a parameter."""


class Names:
    """The parameters of a config by the names that its user may write for them, with dots between levels.

    Args:
        parameters: Such as could be read.
        written: All of them, those that could not be read too.
    """

    def __init__(self, parameters: Parameters, written: Any = None) -> None:
        self.sound: dict[Leading, Parameter] = dict(leaves(parameters))
        self._by_name: dict[str, list[Leading]] = defaultdict(list)
        for leading in dict.fromkeys([*self.sound, *_written_leaves(written)]):
            self._by_name[".".join(leading)].append(leading)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def find(self, name: str, within: Leading = ()) -> Leading | str:
        """The parameter that `name` means, or what to tell its user.

        Args:
            name: As written; with dots, a name with dots or names of several levels.
            within: The group in which it was written; the nearest group that has the name counts.
        """
        for end in range(len(within), -1, -1):
            found = self._by_name.get(".".join((*within[:end], name)), [])
            if len(found) > 1:
                return (
                    f"{name} may be any of {len(found)} parameters, dots in names and nesting look the same; rename one"
                )
            if found:
                return found[0]
        near = nearest(name, self._by_name)
        return f"{shown(name)} is no parameter; " + (
            f"write {near}" if near else f"the parameters are {', '.join(list(self._by_name)[:12])}"
        )


def _written_leaves(written: Any, leading: Leading = ()) -> Iterator[Leading]:
    """The names of all parameters as written, whether they can be or not."""
    for name, form in written.items() if isinstance(written, dict) and len(leading) < 30 else ():
        if isinstance(form, dict) and "parameters" in form:
            yield from _written_leaves(form["parameters"], (*leading, name))
        else:
            yield (*leading, name)


def read_conditions(parameters: Parameters, names: Names, problems: Problems) -> dict[Leading, tuple[Condition, ...]]:
    """The conditions of each parameter that has some, its groups' among them."""
    return dict(_walk(parameters, names, problems, (), ()))


def conditions_of(parameters: Parameters) -> dict[Leading, tuple[Condition, ...]]:
    """The conditions of parameters that were checked before."""
    return read_conditions(parameters, Names(parameters), Problems())


def _walk(
    parameters: Parameters, names: Names, problems: Problems, leading: Leading, inherited: tuple[Condition, ...]
) -> Iterator[tuple[Leading, tuple[Condition, ...]]]:
    for name, parameter in parameters.items():
        own = (*leading, name)
        conditions = (*inherited, *_read_when(parameter.when, own, names, problems))
        if isinstance(parameter, Group):
            yield from _walk(parameter.parameters, names, problems, own, conditions)
        elif conditions:
            yield own, conditions


def _read_when(when: dict[str, Any] | None, own: Leading, names: Names, problems: Problems) -> Iterator[Condition]:
    path = (*path_in_config(own), "when")
    if when is not None and not when:
        problems.add(path, "{} is empty; write a parameter and its values, or remove when")
    for name, wanted in (when or {}).items():
        found = names.find(name, own[:-1])
        if isinstance(found, str):
            problems.add((*path, name), found)
        elif found[: len(own)] == own:
            problems.add((*path, name), f"{shown(name)} is this parameter itself; name another one")
        elif found in names.sound and (condition := _condition(found, wanted, names, (*path, name), problems)):
            yield condition


def _condition(found: Leading, wanted: Any, names: Names, path: Path, problems: Problems) -> Condition | None:
    from besom.strategies import Condition
    from besom.strategies.domains import Finite

    domain = names.sound[found].domain()
    name = ".".join(found)
    if not isinstance(domain, Finite):
        problems.add(path, f"{name} has a continuum of values; name a parameter with values: or whole numbers")
        return None
    values = [wanted] if not isinstance(wanted, list) or _has(domain, wanted) else wanted
    if not values:
        problems.add(path, f"[] is empty; write one or several values of {name}")
        return None
    for value in values:
        if not _has(domain, value):
            known = [domain.value_at(index) for index in range(min(domain.size, 8))]
            more = ", ..." if domain.size > len(known) else ""
            problems.add(path, f"{shown(value)} is no value of {name}; write one of {shown(known)[1:-1]}{more}")
            return None
    return Condition(found, tuple(domain.own(value) for value in values))


def _has(domain: Any, value: Any) -> bool:
    try:
        domain.index_of(value)
    except ValueError:
        return False
    return True
