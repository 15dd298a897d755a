"""`run.watch` on torch itself: all that holds on the stand-in, and what only torch has."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from besom.tracking.run.run import Run
from besom.tracking.watching.tensor_histogram import _counted_at_once, _counted_in_pieces, tensor_histogram
from tests.tracking.conftest import wired  # noqa: F401
from tests.tracking.watching.test_tensor_histogram import *  # noqa: F403
from tests.tracking.watching.test_watch import *  # noqa: F403
from tests.tracking.watching.test_watch import NAMES, backward, forward, row_of

pytestmark = pytest.mark.integrations


@pytest.fixture
def torch() -> Any:
    import torch

    torch.manual_seed(0)
    return torch


@pytest.fixture
def gpu(torch: Any) -> str:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return "cuda"


def test_half_precision_is_counted_in_full(torch: Any) -> None:
    """bfloat16, which numpy has not, is counted as its values are, without a copy of the whole tensor."""
    tensor = torch.randn(100_000).bfloat16()
    counts, _ = np.histogram(tensor.double().numpy(), 64)
    told = tensor_histogram(tensor)
    assert told is not None
    assert sum(told["values"]) == tensor.numel()
    assert np.abs(np.asarray(told["values"]) - counts).sum() <= tensor.numel() // 100


@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16", "float16"])
def test_both_ways_of_counting_agree(torch: Any, kind: str) -> None:
    """A GPU's way, tried on a CPU, gives what a CPU's way gives, but for values on the very edge of a bin."""
    tensor = torch.randn(200_000).to(getattr(torch, kind))
    low, high = (float(bound) for bound in tensor.aminmax())
    pieces, at_once = _counted_in_pieces(tensor, low, high), _counted_at_once(tensor, low, high)
    assert sum(pieces) == sum(at_once) == tensor.numel()
    assert np.abs(np.subtract(pieces, at_once)).sum() <= 200


def test_any_memory_format_is_counted(torch: Any) -> None:
    """Channels last, as convolutions on GPUs like it, is the same numbers."""
    tensor = torch.randn(4, 3, 5, 7)
    assert tensor_histogram(tensor.to(memory_format=torch.channels_last)) == tensor_histogram(tensor)


@pytest.mark.filterwarnings("default:The .grad attribute:UserWarning")  # torch's own, where its graph breaks
@pytest.mark.parametrize("when", ["before", "after"])
def test_compiled_models_are_watched(torch: Any, run: Run, model: Any, when: str) -> None:
    """Watched before torch.compile or after it, parameters and gradients are recorded."""
    torch._dynamo.reset()
    if when == "before":
        run.watch(model, log="all", log_freq=2)
    compiled = torch.compile(model, backend="eager")
    if when == "after":
        run.watch(compiled, log="all", log_freq=2)
    for _ in range(4):
        compiled(torch.ones(5, 3)).sum().backward()
    prefix = "" if when == "before" else "_orig_mod."
    assert sorted(row_of(run)) == sorted(
        f"{kind}/{prefix}{name}" for kind in ("gradients", "parameters") for name in NAMES
    )


def test_a_saved_model_is_not_watched(torch: Any, run: Run, model: Any) -> None:
    """torch.save takes a watched model as a whole, and what is loaded leaves no trace."""
    run.watch(model, log="all", log_freq=1, log_graph=True)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    forward(torch, loaded)
    backward(torch, loaded)
    assert row_of(run) == {}


def test_a_saved_model_loads_without_besom(torch: Any, run: Run, model: Any, tmp_path: Any) -> None:
    """Nothing of besom's is in the file."""
    run.watch(model, log="all", log_freq=1)
    torch.save(model, tmp_path / "model.pt")
    assert b"besom" not in (tmp_path / "model.pt").read_bytes()


def test_second_derivatives_go_through(torch: Any, run: Run) -> None:
    """Watching adds nothing to the graph of a gradient that is differentiated again."""
    model = torch.nn.Linear(3, 1)
    run.watch(model, log="all", log_freq=1)
    loss = (model(torch.ones(2, 3)) ** 3).sum()
    (gradient,) = torch.autograd.grad(loss, [model.weight], create_graph=True)
    expected = torch.autograd.grad((model(torch.ones(2, 3)) ** 3).sum(), [model.weight], create_graph=True)[0]
    gradient.sum().backward()
    watched = model.weight.grad.clone()
    run.unwatch(model)
    model.weight.grad = None
    expected.sum().backward()
    assert torch.equal(watched, model.weight.grad)


def test_sparse_gradients_are_recorded(torch: Any, run: Run) -> None:
    """Those of an embedding count all its rows."""
    model = torch.nn.Embedding(10, 2, sparse=True)
    run.watch(model, log_freq=1)
    model(torch.tensor([1, 4])).sum().backward()
    told = row_of(run)["gradients/weight"]
    assert (told["values"][0], told["values"][-1], sum(told["values"])) == (16, 4, 20)


def test_complex_parameters_are_left_out(torch: Any, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """They have no order; the model trains on, and its real ones are recorded."""
    model = torch.nn.Linear(3, 1)
    model.phase = torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))
    run.watch(model, log="parameters", log_freq=1)
    forward(torch, model)
    assert sorted(row_of(run)) == ["parameters/bias", "parameters/weight"]
    assert caplog.text.count("cannot be shown") == 1


def test_lazy_parameters_are_recorded_once_they_have_values(
    torch: Any, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the first pass a lazy layer takes no hook for its gradients; that is said once, and training goes on."""
    model = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.Linear(4, 1))
    run.watch(model, log="all", log_freq=1)
    model(torch.randn(3, 2)).sum().backward()
    told = [f"gradients/1.{name}" for name in ("bias", "weight")]
    told += [f"parameters/{layer}.{name}" for layer in (0, 1) for name in ("bias", "weight")]
    assert sorted(row_of(run)) == told
    assert caplog.text.count("uninitialized parameter") == 1


def test_a_script_module_is_watched_as_far_as_it_goes(torch: Any, run: Run) -> None:
    """It takes no forward hook; its gradients are recorded."""
    model = torch.jit.script(torch.nn.Linear(3, 2))
    run.watch(model, log="all", log_freq=1)
    model(torch.ones(1, 3)).sum().backward()
    assert sorted(row_of(run)) == ["gradients/bias", "gradients/weight"]


def test_watching_imports_nothing_of_torch() -> None:
    """A script that never imports torch never pays for it, though it is installed."""
    code = "import sys, besom, besom.tracking.watching.watch, besom.tracking.run.run; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
