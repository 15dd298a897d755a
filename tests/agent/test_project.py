"""An agent of a project: whose turn it is, which sweeps it sees, and what the controller makes of it."""

from __future__ import annotations

import pytest

from besom.agent import project
from besom.agent.project import ProjectSweeps, neediest
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.broker.turns import Turn, Turns
from besom.controller.slots import Slots
from besom.errors import UsageError
from besom.messages import SweepSpec


def test_fewest_running_for_its_weight() -> None:
    """Sweeps are ordered by running trials over weight; of equals the heavier comes first."""
    weights = {"a": 1.0, "b": 2.0, "c": 1.0}
    assert neediest({"a": 1, "b": 1, "c": 2}, weights) == ["b", "a", "c"]
    assert neediest({}, weights) == ["b", "a", "c"]
    assert neediest({"b": 4, "c": 1}, weights) == ["a", "c", "b"]


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 0.5, "b": 2.0, "c": 1.0}])
def test_shares_follow_the_weights(weights: dict[str, float]) -> None:
    """Slots given one after the other to the neediest are shared in the ratio of the weights."""
    running = dict.fromkeys(weights, 0)
    for _ in range(70):
        running[neediest(running, weights)[0]] += 1
    for sweep, weight in weights.items():
        assert running[sweep] == pytest.approx(70 * weight / sum(weights.values()), abs=1)


class World:
    """Sweeps of several projects, each with trials and turns."""

    def __init__(self, fake: Connection) -> None:
        self.fake = fake
        self.ledger = Ledger(fake)
        self.said: list[str] = []
        self.refused: set[str] = set()

    def sweep(self, sweep: str, project: str = "p", entity: str = "e", weight: float = 1.0) -> SweepSpec:
        spec = SweepSpec(
            id=sweep, entity=entity, project=project, name=sweep, created=1.0, config={}, weight=weight
        )  # fmt: skip
        self.ledger.create(spec)
        self.ledger.issue(0, sweep, [(number, {"x": number}) for number in range(1, 10)])
        Turns(self.fake).give(Turn(sweep, 1000, 2000), 9)
        return spec

    def source(self, entity: str = "e") -> ProjectSweeps:
        return ProjectSweeps(self.fake, entity, "p", self._allowed, self.said.append)

    def _allowed(self, spec: SweepSpec) -> None:
        if spec.id in self.refused:
            raise UsageError("its command is not allowed")

    def take(self, source: ProjectSweeps, count: int) -> list[str]:
        """Take a turn and its trial so many times; the sweeps."""
        sweeps = []
        for number in range(count):
            turn = source.next_turn(1)
            assert turn is not None
            self.ledger.claim(turn.sweep, "agent", turn.trials, f"nonce-{number}")
            sweeps.append(turn.sweep)
        return sweeps


@pytest.fixture
def world(fake: Connection) -> World:
    return World(fake)


def test_trials_are_taken_by_weight(world: World) -> None:
    """Nine trials that go on running are shared between a sweep of weight 2 and one of weight 1 as 6 to 3."""
    world.sweep("a", weight=2.0)
    world.sweep("b")
    taken = world.take(world.source(), 9)
    assert (taken.count("a"), taken.count("b")) == (6, 3)


def test_others_are_left_alone(world: World) -> None:
    """Sweeps of other projects and entities are not served; without an entity those of all are."""
    world.sweep("other", project="q")
    world.sweep("theirs", entity="f")
    world.sweep("mine")
    assert set(world.take(world.source(entity=""), 4)) == {"mine", "theirs"}
    assert set(world.take(world.source(), 4)) == {"mine"}


def test_sweeps_that_come_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep made after the agent's start is noticed, and gets trials first as it has none running."""
    monkeypatch.setattr(project, "_LOOK_SECONDS", 0.0)
    world.sweep("first")
    source = world.source()
    world.take(source, 3)
    world.sweep("second")
    assert world.take(source, 3) == ["second"] * 3


def test_one_trial_a_turn(world: World) -> None:
    """Where sweeps compete a turn is for one trial; an only sweep gives its turns whole."""
    world.sweep("a")
    source = world.source()
    alone = source.next_turn(1)
    assert alone is not None
    assert alone.trials == 1000
    world.sweep("b")
    source = world.source()
    shared = source.next_turn(1)
    assert shared is not None
    assert shared.trials == 1


def test_sweep_that_may_not_be_executed(world: World) -> None:
    """It is left to others and said once, with the reason; the rest is served."""
    world.sweep("bad")
    world.sweep("good")
    world.refused.add("bad")
    assert set(world.take(world.source(), 5)) == {"good"}
    assert [line for line in world.said if "bad" in line] == [
        "sweep bad is left to other agents: its command is not allowed"
    ]


def test_no_sweep_at_all(world: World) -> None:
    """An empty project gives no turn and is not over."""
    source = world.source()
    assert source.next_turn(0.01) is None
    assert not source.over()


def test_slots_count_for_every_sweep_of_the_project(world: World) -> None:
    """The controller counts a project agent's slots for each sweep there, besides those of the sweep's own agents."""
    for sweep, of in (("a", "p"), ("b", "p"), ("c", "q")):
        world.sweep(sweep, of)
    world.ledger.beat("one", 60_000, [], {"sweep": "", "project": "e/p", "slots": 4})
    world.ledger.beat("two", 60_000, [], {"sweep": "a", "slots": 2})
    world.ledger.beat("three", 60_000, [], {"sweep": "", "project": "/q", "slots": 1})
    slots = Slots(world.ledger, Turns(world.fake))
    slots.look()
    assert [slots.of(sweep) for sweep in ("a", "b", "c", "unknown")] == [6, 4, 1, 0]
    world.fake.redis.delete(f"rq:queue:{world.fake.keys.queue_name('b')}")
    slots.give_turns(["b"])
    assert Turns(world.fake).waiting("b") == 4
