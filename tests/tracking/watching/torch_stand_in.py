"""As much of torch as `besom.watch` uses, on numpy: what torch itself does with the same tests is what it must do.

`tests/integrations/test_watch.py` runs every test that uses it against torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["make"]


class Tensor:
    """Numbers on a device; a GPU's are told from a CPU's by the name only."""

    is_sparse = False

    def __init__(self, array: Any, device: str = "cpu") -> None:
        self._array = np.asarray(array)
        self.device = SimpleNamespace(type=device)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    def _with(self, array: Any) -> Tensor:
        return Tensor(array, self.device.type)

    def to(self, device: str) -> Tensor:
        return Tensor(self._array, device)

    def detach(self) -> Tensor:
        return self._with(self._array)

    def reshape(self, *shape: int) -> Tensor:
        return self._with(self._array.reshape(shape))

    def numel(self) -> int:
        return self._array.size

    def element_size(self) -> int:
        return self._array.itemsize

    def is_floating_point(self) -> bool:
        return self._array.dtype.kind == "f"

    def aminmax(self) -> tuple[Tensor, Tensor]:
        if self._array.dtype.kind == "c":
            raise RuntimeError("aminmax not implemented for complex numbers")
        return self._with(self._array.min()), self._with(self._array.max())

    def isfinite(self) -> Tensor:
        return self._with(np.isfinite(self._array))

    def double(self) -> Tensor:
        return self._with(self._array.astype(np.float64))

    def float(self) -> Tensor:
        return self._with(self._array.astype(np.float32))

    def byte(self) -> Tensor:
        return self._with(self._array.astype(np.uint8))

    def split(self, size: int) -> list[Tensor]:
        return [self._with(self._array[start : start + size]) for start in range(0, self.numel(), size)]

    def bincount(self, minlength: int = 0) -> Tensor:
        return self._with(np.bincount(self._array, minlength=minlength))

    def histc(self, bins: int, low: Any, high: Any) -> Tensor:
        if self._array.dtype == np.float16:
            raise RuntimeError("histc not implemented for Half")
        return self._with(np.histogram(self._array, bins, (low, high))[0].astype(self._array.dtype))

    def tolist(self) -> Any:
        return self._array.tolist()

    def sum(self) -> Tensor:
        return self._with(self._array.sum())

    def __float__(self) -> Any:
        return float(self._array)

    def __getitem__(self, chosen: Tensor) -> Tensor:
        return self._with(self._array[chosen._array])

    def __sub__(self, other: Any) -> Tensor:
        return self._with(self._array - self._array.dtype.type(other))

    def __mul__(self, other: Any) -> Tensor:
        return self._with(self._array * self._array.dtype.type(other))

    def __add__(self, other: Any) -> Tensor:
        return self._with(self._array + (other._array if isinstance(other, Tensor) else other))

    __radd__ = __add__


class Sparse(Tensor):
    """Values at some places, zero elsewhere."""

    is_sparse = True

    def __init__(self, _: Any, values: Any, size: tuple[int, ...], check_invariants: bool = True) -> None:
        super().__init__(np.asarray(values, np.float32))
        self._size = size

    def detach(self) -> Tensor:
        return self

    def coalesce(self) -> Sparse:
        return self

    def values(self) -> Tensor:
        return Tensor(self._array)

    def numel(self) -> int:
        return int(np.prod(self._size))


class Loss:
    """A sum whose gradient is known: that of (parameter * gradient).sum() is `gradient`."""

    def __init__(self, parts: list[tuple[Parameter, Tensor]]) -> None:
        self._parts = parts

    def sum(self) -> Loss:
        return self

    def __add__(self, other: Loss) -> Loss:
        return Loss(self._parts + other._parts)

    def __radd__(self, _: int) -> Loss:
        return self

    def backward(self) -> None:
        for parameter, gradient in self._parts:
            for hook in list(parameter.hooks.values()):
                hook(gradient)


class Handle:
    def __init__(self, hooks: dict[int, Any], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        hooks[id(self)] = hook

    def remove(self) -> None:
        self._hooks.pop(id(self), None)


class Parameter(Tensor):
    def __init__(self, array: Any) -> None:
        super().__init__(np.asarray(array, np.float32))
        self.requires_grad = True
        self.hooks: dict[int, Any] = {}

    def __deepcopy__(self, _: Any) -> Parameter:
        return Parameter(self._array)  # without its hooks, as torch does

    def __reduce__(self) -> Any:
        return Parameter, (self._array,)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> Handle:
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return Handle(self.hooks, hook)

    def __mul__(self, gradient: Any) -> Any:
        return Loss([(self, gradient)])


class Module:
    def __init__(self, **parts: Any) -> None:
        self._forward_hooks: dict[int, Any] = {}
        self._parts = parts

    def __call__(self, batch: Tensor) -> Any:
        output = self.forward(batch)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, (batch,), output)
            assert changed is None, "torch would take this as the output"
        return output

    def forward(self, batch: Tensor) -> Any:
        raise NotImplementedError

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        return Handle(self._forward_hooks, hook)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield from ((name, part) for name, part in self._parts.items() if isinstance(part, Module))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        yield from ((name, part) for name, part in self._parts.items() if isinstance(part, Parameter))
        for outer, child in self.named_children():
            yield from ((f"{outer}.{name}", parameter) for name, parameter in child.named_parameters())

    def parameters(self) -> Iterator[Parameter]:
        yield from (parameter for _, parameter in self.named_parameters())


class Linear(Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        rng = np.random.default_rng(inputs * 1000 + outputs)
        super().__init__(weight=Parameter(rng.normal(size=(outputs, inputs))), bias=Parameter(rng.normal(size=outputs)))

    def __repr__(self) -> str:
        outputs, inputs = self._parts["weight"].shape
        return f"Linear(in_features={inputs}, out_features={outputs}, bias=True)"

    def forward(self, batch: Tensor) -> Tensor:
        return Tensor(batch._array @ self._parts["weight"]._array.T + self._parts["bias"]._array)


class ReLU(Module):
    def __repr__(self) -> str:
        return "ReLU()"

    def forward(self, batch: Tensor) -> Tensor:
        return Tensor(np.maximum(batch._array, 0))


class Sequential(Module):
    def __init__(self, *parts: Module) -> None:
        super().__init__(**{str(place): part for place, part in enumerate(parts)})

    def forward(self, batch: Tensor) -> Any:
        for part in self._parts.values():
            batch = part(batch)
        return batch


def make() -> Any:
    """The module, for `sys.modules["torch"]`."""
    torch: Any = ModuleType("torch")
    torch.nn = SimpleNamespace(Module=Module, Linear=Linear, ReLU=ReLU, Sequential=Sequential)
    torch.float16, torch.float32, torch.float64 = np.float16, np.float32, np.float64
    torch.int64, torch.bool, torch.complex64 = np.int64, np.bool_, np.complex64
    torch.tensor = lambda values, dtype=np.float32: Tensor(np.asarray(values, dtype))
    torch.ones = lambda *shape: Tensor(np.ones(shape, np.float32))
    torch.sparse_coo_tensor = Sparse
    return torch
