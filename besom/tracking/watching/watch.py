"""`run.watch`: histograms of a torch model's gradients and parameters, taken by hooks while it trains.

Knows of torch what modules and tensors do themselves, and looks it up where the user has imported it.
Training goes on whatever a hook meets.
"""

from __future__ import annotations

import functools
import logging
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any, Final, Literal, Protocol

from besom.tracking.blobs.blobs import Blobs
from besom.tracking.watching.model_graph import ModelGraph
from besom.tracking.watching.tensor_histogram import tensor_histogram

__all__ = ["Recording", "Watch", "Watched"]

log = logging.getLogger("besom")

Watched = Literal["gradients", "parameters", "all"] | None

_WATCHED: Final = ("gradients", "parameters", "all", None)


class Updated(Protocol):
    """What takes several values by name."""

    def update(self, values: Mapping[str, Any]) -> None:
        """Set them."""


class Recording(Protocol):
    """What a run is to those that watch for it."""

    @property
    def summary(self) -> Updated:
        """Its last values."""

    @property
    def blobs(self) -> Blobs:
        """Where files go."""

    def add_to_row(self, values: Mapping[str, Any]) -> None:
        """Plain values for the row that is open."""


class Watch:
    """The models that one run watches.

    Args:
        run: What their histograms are written to.
    """

    def __init__(self, run: Recording) -> None:
        self._run = run
        self._models: list[tuple[weakref.ref[Any], list[Any]]] = []  # each with the handles of its hooks
        self._count = 0
        self._warned: set[type[Exception]] = set()

    def add(self, models: Any, log: Watched, log_freq: float, idx: int | None, log_graph: bool) -> None:
        """Watch a torch module, or a list or tuple of them; the arguments are those of `Run.watch`.

        Raises:
            ValueError: `log` is no such choice.
            TypeError: a model is no torch.nn.Module, or `log_freq` no number.
        """
        if log not in _WATCHED:
            raise ValueError(f'log={log!r} cannot be watched; write "gradients", "parameters", "all" or None')
        _check_frequency(log_freq)
        given = models if isinstance(models, list | tuple) else [models]
        for model in given:
            _check_module(model)
        first = self._count if idx is None else idx
        for place, model in enumerate(given, start=first):
            self._count += 1
            prefix = f"graph_{place}" if place > 0 else ""  # no separator after it, as in W&B
            handles: list[Any] = []
            self._models.append((weakref.ref(model), handles))
            if log in ("parameters", "all"):
                handles += self._parameter_hook(model, prefix, log_freq)
            if log in ("gradients", "all"):
                handles += self._gradient_hooks(model, prefix, log_freq)
            if log_graph:
                handles += self._graph_hooks(model, place)

    def remove(self, models: Any = None) -> None:
        """Stop watching a model or several; without one, all. One that is not watched is warned about."""
        wanted = models if isinstance(models, list | tuple) else [models]
        kept, found = [], set()
        for watched, handles in self._models:
            model = watched()
            if models is not None and not any(model is one for one in wanted):
                kept.append((watched, handles))
                continue
            found.add(id(model))
            for handle in handles:
                handle.remove()
        self._models = kept
        for model in wanted if models is not None else ():
            if id(model) not in found:
                log.warning("unwatch: this %s is not watched", type(model).__name__)

    # ---- hooks

    def _parameter_hook(self, model: Any, prefix: str, log_freq: float) -> list[Any]:
        due = _every(log_freq)

        def after_forward(module: Any, _: Any) -> None:
            if due():
                for name, parameter in module.named_parameters():
                    self._take(f"parameters/{prefix}{name}", parameter)

        return self._hooked(model, after_forward)

    def _gradient_hooks(self, model: Any, prefix: str, log_freq: float) -> list[Any]:
        handles: list[Any] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                with self._harmless():  # one that is lazy has no size yet
                    handles.append(parameter.register_hook(self._gradient_hook(f"gradients/{prefix}{name}", log_freq)))
        return handles

    def _gradient_hook(self, key: str, log_freq: float) -> Callable[[Any], None]:
        due = _every(log_freq)

        def in_backward(gradient: Any) -> None:
            if due():
                self._take(key, gradient)

        return in_backward

    def _graph_hooks(self, model: Any, place: int) -> list[Any]:
        graph = ModelGraph()
        handles: list[Any] = []

        def after_forward(_: Any, __: Any) -> None:
            for handle in handles:
                handle.remove()  # one pass shows all
            self._run.summary.update({f"graph_{place}": graph.kept(self._run.blobs, f"graph_{place}")})

        for name, module in graph.layers_of(model):
            handles += self._hooked(module, functools.partial(graph.saw, name))
        handles += self._hooked(model, after_forward)
        return handles

    def _hooked(self, module: Any, act: Callable[[Any, Any], None]) -> list[Any]:
        def acting(module: Any, output: Any) -> None:
            with self._harmless():
                act(module, output)

        handles: list[Any] = []
        with self._harmless():  # a ScriptModule takes none
            handles.append(module.register_forward_hook(_ForwardHook(_not_compiled(acting))))
        return handles

    def _take(self, key: str, tensor: Any) -> None:
        with self._harmless():
            counted = tensor_histogram(tensor)
            if counted is not None:
                self._run.add_to_row({key: counted})

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if type(error) not in self._warned:
                self._warned.add(type(error))
                log.warning("watch: some of it cannot be shown, and is left out: %s: %s", type(error).__name__, error)


class _ForwardHook:
    """A forward hook that a copy of its module (deepcopy, pickle, torch.save) has not."""

    def __init__(self, act: Callable[[Any, Any], None]) -> None:
        self._act = act

    def __call__(self, module: Any, _: Any, output: Any) -> None:
        self._act(module, output)

    def __reduce__(self) -> tuple[Any, ...]:
        # What stands in its place does nothing with three arguments, and loads where besom is not installed.
        return getattr, (nullcontext(), "__exit__")


def _not_compiled(act: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """The same for torch.compile to leave alone: it compiles what is around it."""
    disable: Any = getattr(getattr(sys.modules["torch"], "compiler", None), "disable", None)
    return disable(act) if disable else act


def _every(log_freq: float) -> Callable[[], bool]:
    """True at each `log_freq`-th call."""
    count = 0

    def due() -> bool:
        nonlocal count
        count += 1
        if count < log_freq:
            return False
        count = 0
        return True

    return due


def _check_module(model: Any) -> None:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise TypeError(f"watch takes a torch.nn.Module or a list of them, not {type(model).__name__}")


def _check_frequency(log_freq: Any) -> None:
    if not isinstance(log_freq, Real):
        raise TypeError(f"log_freq={log_freq!r} is no number; write at every how many-th pass to record")
