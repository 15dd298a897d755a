"""The layers of a torch model as W&B draws them: name, class, parameters and the shape of what each gave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from besom.tracking.blobs.blobs import Blobs
from besom.tracking.media.media import keep_file, to_json

__all__ = ["ModelGraph"]

_CONTAINERS: Final = frozenset({"Sequential", "ModuleList", "ModuleDict"})
"""Modules that are drawn as what they hold."""


class ModelGraph:
    """The layers of one model, gathered during its first forward pass."""

    def __init__(self) -> None:
        self._nodes: dict[int, dict[str, Any]] = {}

    def layers_of(self, model: Any) -> list[tuple[str, Any]]:
        """Its layers with their names; containers are opened, and a model without parts is one layer."""
        return list(_layers(model, "")) or [("", model)]

    def saw(self, name: str, module: Any, output: Any) -> None:
        """A layer was called; what it gave first is what is drawn."""
        if id(module) in self._nodes:
            return
        parameters = [[name, list(parameter.shape)] for name, parameter in module.named_parameters()]
        self._nodes[id(module)] = {
            "name": name,
            "id": id(module),
            "class_name": str(module),
            "parameters": parameters,
            "output_shape": _shapes(output if isinstance(output, tuple) else (output,)),
            "num_parameters": [math.prod(shape) for _, shape in parameters],
        }

    def kept(self, blobs: Blobs, name: str) -> dict[str, Any]:
        """Keep it as a file; its JSON.

        Raises:
            OSError: the file cannot be kept.
        """
        content = to_json({"format": "torch", "nodes": list(self._nodes.values()), "edges": []})
        return {"_type": "graph-file", **keep_file(blobs, content, f"media/graph/{name}_summary", ".graph.json")}


def _shapes(output: Any) -> Any:
    """The shape of each tensor in it."""
    if hasattr(output, "shape"):
        return list(output.shape)
    if isinstance(output, Mapping):
        return [_shapes(item) for item in output.values()]
    return [_shapes(item) for item in output] if isinstance(output, list | tuple) else []


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_children():
        if type(module).__name__ in _CONTAINERS:
            yield from _layers(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module
