"""What needs torch: sections 3.2 and 3.5 for tensors, 3.4 for watch.

Each case is a function of a bench; what it gives is compared, and what its runs left behind.
"""

from __future__ import annotations

from typing import Any

from tests.conformance.bench import Bench


def tensor_scalars(b: Bench) -> Any:
    """Tensors of one number."""
    import torch

    b.init().log(
        {
            "plain": torch.tensor(0.5), "grad": torch.tensor(0.5, requires_grad=True), "int": torch.tensor(3),
            "half": torch.tensor(0.5, dtype=torch.bfloat16), "bool": torch.tensor(True), "one": torch.tensor([0.5]),
        }
    )  # fmt: skip


def tensor_lists(b: Bench) -> Any:
    """Up to 32 numbers are a list, more a histogram."""
    import torch

    b.init().log(
        {"short": torch.arange(4.0), "long": torch.arange(40.0), "grad": torch.ones(3, requires_grad=True) * 2}
    )


def tensor_image(b: Bench) -> Any:
    """Channels first."""
    import torch

    image = torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5)
    b.init().log({"img": b.w.Image(image), "one": b.w.Image(image[:1])})
    return b.raised(b.w.Image, image[0])


def tensor_config(b: Bench) -> Any:
    """Tensors in config."""
    import torch

    return b.init(config={"t": torch.tensor(0.5), "l": torch.arange(3)}).config.as_dict()


def tensor_histogram(b: Bench) -> Any:
    """A histogram of a tensor."""
    import torch

    b.init().log({"h": b.w.Histogram(torch.arange(10.0), num_bins=5)})


def watch_gradients(b: Bench) -> Any:
    """Histograms of gradients, every log_freq-th backward, in the row that is open."""
    run = b.init()
    model, train = _model()
    given = run.watch(model, log_freq=2)
    for step in range(4):
        train()
        run.log({"step": step})
    return given


def watch_parameters(b: Bench) -> Any:
    """Histograms of parameters."""
    run = b.init()
    model, train = _model()
    run.watch(model, log="parameters", log_freq=1)
    for step in range(2):
        train()
        run.log({"step": step})


def watch_all(b: Bench) -> Any:
    """Both."""
    run = b.init()
    model, train = _model()
    b.w.watch(model, log="all", log_freq=1)
    train()
    run.log({})


def watch_nothing(b: Bench) -> Any:
    """log=None."""
    run = b.init()
    model, train = _model()
    run.watch(model, log=None, log_freq=1)
    train()
    run.log({"a": 1})


def watch_frozen(b: Bench) -> Any:
    """A parameter without gradient."""
    run = b.init()
    model, train = _model()
    model[0].weight.requires_grad_(False)
    run.watch(model, log="all", log_freq=1)
    train()
    run.log({})


def watch_two_models(b: Bench) -> Any:
    """A list of models."""
    run = b.init()
    (first, train), (second, train_too) = _model(), _model()
    run.watch([first, second], log="all", log_freq=1)
    train()
    train_too()
    run.log({})


def watch_index(b: Bench) -> Any:
    """idx."""
    run = b.init()
    model, train = _model()
    run.watch(model, idx=3, log_freq=1)
    train()
    run.log({})


def watch_bad(b: Bench) -> Any:
    """What cannot be watched."""
    run = b.init()
    model, _ = _model()
    return [b.raised(run.watch, model, log="some"), b.raised(run.watch, "model"), b.raised(run.watch, [model, 3])]


def watch_unwatch(b: Bench) -> Any:
    """After unwatch nothing more is logged."""
    run = b.init()
    model, train = _model()
    run.watch(model, log="all", log_freq=1)
    run.unwatch(model)
    train()
    run.log({"a": 1})


def watch_equal_values(b: Bench) -> Any:
    """A tensor of equal values; one with NaN."""
    import torch

    run = b.init()
    model, train = _model()
    with torch.no_grad():
        model[0].weight.fill_(0.25)
        model[2].bias.fill_(float("nan"))
        model[2].weight[0, 0] = float("inf")
    run.watch(model, log="parameters", log_freq=1)
    train()
    run.log({})


def watch_graph(b: Bench) -> Any:
    """The summary's name of the graph."""
    run = b.init()
    model, train = _model()
    run.watch(model, log_graph=True, log=None)
    train()
    run.log({"a": 1})
    return "graph_0" in dict(run.summary)


def watch_before_init(b: Bench) -> Any:
    """watch needs a run."""
    model, _ = _model()
    return b.raised(b.w.watch, model)


def _model() -> Any:
    """A small model with known weights, and one backward pass through it."""
    import torch

    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    given = torch.linspace(-1, 1, 15).reshape(5, 3)

    def train() -> None:
        model.zero_grad()
        model(given).square().sum().backward()

    return model, train
