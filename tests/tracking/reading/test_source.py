"""The queries, and where they are asked."""

from __future__ import annotations

import inspect

import pytest

from besom.tracking.reading.source import QUERIES, LocalSource
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, claimed, created, ended, play


@pytest.fixture
def source(store: Store, recorder: Recorder) -> LocalSource:
    play(store, recorder, [created(), claimed(), batch(steps=[0, 1, 2], loss=[3.0, 1.0, 2.0]), ended(0, w=1)])
    return LocalSource(store)


def test_answers_of_a_local_store(source: LocalSource) -> None:
    """A query goes to its function with its arguments."""
    assert source.ask("sweep_counts", sweep_id="s") == {"finished": 1}
    assert source.ask("run", run_id="s-0")["value"] == 1.0
    assert source.ask("rows", run="s-0", min_step=2) == [{"_step": 2, "loss": 2.0}]


def test_curves_are_plain_lists(source: LocalSource) -> None:
    """So that they cross a wire: one list of numbers for each bucket, thinned to what was asked for."""
    curve = source.ask("curve", run="s-0", key="loss")
    assert [row[0] for row in curve] == [0.0, 1.0, 2.0]
    assert all(type(row) is list and {type(value) for value in row} == {float} for row in curve)
    assert len(source.ask("curve", run="s-0", key="loss", points=2)) == 2


def test_unknown_queries(source: LocalSource) -> None:
    """What is not in the list cannot be asked."""
    with pytest.raises(KeyError, match="drop_tables"):
        source.ask("drop_tables")


@pytest.mark.parametrize("query", sorted(QUERIES))
def test_queries_take_a_transaction_first(query: str) -> None:
    """Each is a function of a transaction and of named plain values, as the HTTP side needs."""
    first, *others = inspect.signature(QUERIES[query]).parameters.values()
    assert first.name == "conn"
    assert all(one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for one in others)
