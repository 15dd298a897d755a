"""`run.watch` on a stand-in for torch; `tests/integrations` runs the same tests on torch itself."""

from __future__ import annotations

import copy
import json
import math
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import besom
from besom.broker.connection import Connection
from besom.tracking.run.run import Run
from tests.tracking.desk import decoded

from . import torch_stand_in


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = torch_stand_in.make()
    monkeypatch.setitem(sys.modules, "torch", made)
    return made


@pytest.fixture
def run(wired: Connection) -> Run:
    return besom.init(id="r")


@pytest.fixture
def model(torch: Any) -> Any:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))


NAMES = ["0.bias", "0.weight", "2.bias", "2.weight"]


def forward(torch: Any, model: Any, times: int = 1) -> None:
    for _ in range(times):
        model(torch.ones(5, 3))


def backward(torch: Any, model: Any, times: int = 1) -> None:
    """A pass in which the gradient of each parameter is two numbers, half ones and half threes."""
    for _ in range(times):
        gradients = [torch.ones(*p.shape) + torch.ones(*p.shape) for p in model.parameters() if p.requires_grad]
        parameters = [p for p in model.parameters() if p.requires_grad]
        sum((p * g).sum() for p, g in zip(parameters, gradients, strict=True)).backward()


def row_of(run: Run) -> dict[str, Any]:
    """The row that is open, closed."""
    run.log({})
    return {name: value for name, value in run.summary.as_dict().items() if "/" in name}


def logged(run: Run, fake: Connection) -> dict[str, list[int]]:
    """Name to the steps at which it was recorded."""
    run.finish()
    return {name: [step for step, _ in points] for name, points in decoded(fake).items() if "/" in name}


@pytest.mark.parametrize(
    ("log", "kinds"),
    [("gradients", ["gradients"]), ("parameters", ["parameters"]), ("all", ["gradients", "parameters"])],
)
def test_what_is_watched_has_wandbs_names(torch: Any, run: Run, model: Any, log: Any, kinds: list[str]) -> None:
    """`log` says of which of the two each parameter's histogram is recorded, under kind/name."""
    run.watch(model, log=log, log_freq=1)
    forward(torch, model)
    backward(torch, model)
    assert sorted(row_of(run)) == [f"{kind}/{name}" for kind in kinds for name in NAMES]


def test_without_a_log_nothing_is_recorded(torch: Any, run: Run, model: Any) -> None:
    """`log=None` is W&B's way to ask for the graph only."""
    run.watch(model, log=None, log_freq=1)
    forward(torch, model)
    backward(torch, model)
    assert row_of(run) == {}


def test_a_parameters_histogram_is_of_its_values(torch: Any, run: Run, model: Any) -> None:
    """As they are after the pass."""
    run.watch(model, log="parameters", log_freq=1)
    forward(torch, model)
    told = row_of(run)
    for name, parameter in model.named_parameters():
        counts, edges = np.histogram(np.asarray(parameter.detach().tolist(), np.float64), 64)
        assert told[f"parameters/{name}"]["values"] == counts.tolist()
        np.testing.assert_allclose(told[f"parameters/{name}"]["bins"], edges, atol=1e-6)


def test_a_gradients_histogram_is_of_this_pass(torch: Any, run: Run, model: Any) -> None:
    """Not of what has been summed up over passes: here each is 2 everywhere, in every pass."""
    run.watch(model, log_freq=2)
    backward(torch, model, times=2)
    weight = row_of(run)["gradients/0.weight"]
    assert weight == {"_type": "histogram", "values": [12], "bins": [2.0, 2.0]}


def test_every_nth_pass_goes_into_the_open_row(torch: Any, run: Run, model: Any, fake: Connection) -> None:
    """Backward passes count for gradients, forward passes for parameters; the row that is open then takes them."""
    run.watch(model, log="all", log_freq=3)
    for step in range(7):  # a validation pass before each training step
        forward(torch, model, times=2)
        backward(torch, model)
        run.log({"loss": step})
    steps = logged(run, fake)
    assert steps["gradients/0.weight"] == [2, 5]
    assert steps["parameters/0.weight"] == [1, 2, 4, 5]


def test_a_row_that_only_was_watched_is_recorded_at_the_end(torch: Any, run: Run, model: Any, fake: Connection) -> None:
    """What stands in the open row is kept, as after log(commit=False)."""
    run.watch(model, log="parameters", log_freq=1)
    forward(torch, model)
    assert run.step == 0
    assert logged(run, fake)["parameters/0.bias"] == [0]


def test_frozen_parameters_have_no_gradients(torch: Any, run: Run, model: Any) -> None:
    """They are watched as parameters."""
    frozen = dict(model.named_parameters())["0.weight"]
    frozen.requires_grad = False
    run.watch(model, log="all", log_freq=1)
    forward(torch, model)
    backward(torch, model)
    told = row_of(run)
    assert "gradients/0.weight" not in told
    assert "parameters/0.weight" in told


def test_further_models_are_numbered(torch: Any, run: Run) -> None:
    """The second and later ones of a run have graph_<n> before their names, without a separator, as in W&B."""
    models = [torch.nn.Linear(3, 1) for _ in range(4)]
    run.watch(models[0], log="parameters", log_freq=1)
    run.watch(models[1:3], log="parameters", log_freq=1)
    run.watch(models[3], log="parameters", log_freq=1, idx=7)
    for model in models:
        forward(torch, model)
    weights = [name for name in row_of(run) if name.endswith("weight")]
    assert weights == [
        "parameters/weight",
        "parameters/graph_1weight",
        "parameters/graph_2weight",
        "parameters/graph_7weight",
    ]


def test_each_run_counts_its_own_models(torch: Any, run: Run, model: Any) -> None:
    """The trials of a function agent give the same names, so that they can be compared."""
    run.watch(model, log="parameters", log_freq=1)
    run.finish()
    later = besom.init(id="later")
    later.watch(model, log="parameters", log_freq=1)
    forward(torch, model)
    assert sorted(row_of(later)) == [f"parameters/{name}" for name in NAMES]


def test_a_model_may_be_watched_twice(torch: Any, run: Run, model: Any) -> None:
    """The second time it is a second model, as in W&B."""
    run.watch(model, log_freq=1)
    run.watch(model, log_freq=1)
    backward(torch, model)
    assert {"gradients/0.bias", "gradients/graph_10.bias"} <= set(row_of(run))


def test_tensors_without_a_finite_value_are_left_out(torch: Any, run: Run, model: Any) -> None:
    """The others of the pass are recorded."""
    run.watch(model, log_freq=1)
    named = dict(model.named_parameters())
    lost, good = named["0.bias"], named["2.bias"]
    ((lost * torch.tensor([math.nan] * 4)).sum() + (good * torch.tensor([1.0, 2.0])).sum()).backward()
    assert list(row_of(run)) == ["gradients/2.bias"]


@pytest.mark.parametrize("log", ["gradient", "", 3])
def test_an_unknown_log_is_refused(torch: Any, run: Run, model: Any, log: Any) -> None:
    """The error says what can be written."""
    with pytest.raises(ValueError, match=r'"gradients", "parameters", "all" or None'):
        run.watch(model, log=log)


@pytest.mark.parametrize("what", [None, "model", [1], object()])
def test_only_modules_are_watched(torch: Any, run: Run, what: Any) -> None:
    """Anything else is a TypeError, and the models beside it are not watched."""
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        run.watch([torch.nn.Linear(3, 1), what])
    backward(torch, torch.nn.Linear(3, 1))
    assert row_of(run) == {}


def test_without_torch_nothing_is_a_module(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not imported torch cannot have a model of it."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        run.watch(object())
    assert "torch" not in sys.modules


def test_a_frequency_that_is_no_number_is_refused(torch: Any, run: Run, model: Any) -> None:
    """At once, not at the first pass."""
    with pytest.raises(TypeError, match="log_freq='often'"):
        run.watch(model, log_freq="often")  # type: ignore[arg-type]


def test_unwatch_takes_the_hooks_of_one_model(torch: Any, run: Run) -> None:
    """The other goes on being watched."""
    gone, kept = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)
    run.watch([gone, kept], log="all", log_freq=1)
    run.unwatch(gone)
    for model in (gone, kept):
        forward(torch, model)
        backward(torch, model)
    assert all("graph_1" in name for name in row_of(run))
    assert len(row_of(run)) == 4


def test_unwatch_without_a_model_takes_all(torch: Any, run: Run, model: Any) -> None:
    """Nothing is recorded any more."""
    run.watch([model, torch.nn.Linear(3, 1)], log="all", log_freq=1, log_graph=True)
    run.unwatch()
    forward(torch, model)
    backward(torch, model)
    assert row_of(run) == {}
    assert "graph_0" not in run.summary


def test_unwatch_of_a_strange_model_warns(torch: Any, run: Run, model: Any, caplog: pytest.LogCaptureFixture) -> None:
    """As in W&B, and no error."""
    run.unwatch(model)
    assert "is not watched" in caplog.text


def test_the_end_of_a_run_takes_its_hooks(torch: Any, run: Run, model: Any, fake: Connection) -> None:
    """The model can be trained on, and nothing is left in it."""
    run.watch(model, log="all", log_freq=1, log_graph=True)
    run.finish()
    forward(torch, model)
    backward(torch, model)
    assert not [name for name in decoded(fake) if "/" in name]
    assert not model._forward_hooks


def test_a_finished_run_watches_nothing(torch: Any, run: Run, model: Any) -> None:
    """Misuse is an error."""
    run.finish()
    with pytest.raises(besom.UsageError, match="finished"):
        run.watch(model)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_a_model_are_not_watched(torch: Any, run: Run, model: Any, copied: Any) -> None:
    """An averaged copy or one that was saved and loaded trains without a trace; the model itself is watched on."""
    run.watch(model, log="all", log_freq=1)
    twin = copied(model)
    forward(torch, twin)
    backward(torch, twin)
    assert row_of(run) == {}
    forward(torch, model)
    assert len(row_of(run)) == 4


def test_a_hook_never_makes_training_fail(
    torch: Any, run: Run, model: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be counted is left out, with one warning, however often it comes."""

    def fail(_: Any) -> None:
        raise RuntimeError("not implemented for this kind of tensor")

    run.watch(model, log="all", log_freq=1, log_graph=True)
    monkeypatch.setattr("besom.tracking.watching.watch.tensor_histogram", fail)
    for _ in range(3):
        forward(torch, model)
        backward(torch, model)
    assert row_of(run) == {}
    assert caplog.text.count("not implemented for this kind of tensor") == 1


def test_a_model_that_takes_no_hooks_is_warned_about(
    torch: Any, run: Run, model: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ScriptModule refuses them; its gradients are watched all the same."""

    def refuse(_: Any) -> None:
        raise RuntimeError("register_forward_hook is not supported on ScriptModules")

    monkeypatch.setattr(model, "register_forward_hook", refuse)
    run.watch(model, log="all", log_freq=1)
    forward(torch, model)
    backward(torch, model)
    assert sorted(row_of(run)) == [f"gradients/{name}" for name in NAMES]
    assert "not supported on ScriptModules" in caplog.text


def test_the_graph_shows_each_layer(torch: Any, run: Run) -> None:
    """`summary["graph_0"]` is a file with the layers in the order of the pass, as W&B's; containers are opened."""

    class Block(torch.nn.Sequential):  # type: ignore[misc, name-defined]
        def forward(self, batch: Any) -> Any:
            return super().forward(batch), batch

    inner = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    model = torch.nn.Sequential(inner, Block(torch.nn.Linear(4, 2)))
    run.watch(model, log=None, log_graph=True)
    forward(torch, model, times=2)
    told = run.summary["graph_0"]
    assert told["_type"] == "graph-file"
    assert told["path"] == f"media/graph/graph_0_summary_{told['sha256'][:20]}.graph.json"
    graph = json.loads(run.blobs.read(told["sha256"]))
    assert graph["format"] == "torch"
    assert graph["edges"] == []
    first, second, block = graph["nodes"]
    assert len({node["id"] for node in graph["nodes"]}) == 3
    assert first["name"] == "0.0"
    assert first["class_name"] == "Linear(in_features=3, out_features=4, bias=True)"
    assert first["parameters"] == [["weight", [4, 3]], ["bias", [4]]]
    assert first["num_parameters"] == [12, 4]
    assert first["output_shape"] == [[5, 4]]
    assert (second["name"], second["parameters"]) == ("0.1", [])
    assert (block["name"], block["output_shape"]) == ("1", [[5, 2], [5, 4]])


def test_before_init_watch_and_unwatch_refuse(torch: Any, model: Any) -> None:
    """They say what to call first."""
    with pytest.raises(besom.UsageError, match=r"besom\.init\(\) before besom\.watch\(\)"):
        besom.watch(model)
    with pytest.raises(besom.UsageError, match=r"besom\.init\(\) before besom\.unwatch\(\)"):
        besom.unwatch(model)


def test_the_module_watches_with_the_active_run(torch: Any, run: Run, model: Any) -> None:
    """`besom.watch` takes W&B's arguments in W&B's order; `besom.unwatch` undoes it."""
    besom.watch(model, None, "parameters", 1, 2, False)
    forward(torch, model)
    assert sorted(row_of(run)) == [f"parameters/graph_2{name}" for name in NAMES]
    besom.unwatch(model)
    run.log({"parameters/graph_20.bias": 0})
    forward(torch, model)
    assert row_of(run)["parameters/graph_20.bias"] == 0


def test_a_disabled_run_watches_nothing(torch: Any, model: Any) -> None:
    """Training costs nothing more then."""
    with besom.init(mode="disabled") as run:
        run.watch(model, log="all", log_freq=1)
        run.unwatch(model)
        forward(torch, model)
        assert run.summary.as_dict() == {}
