"""What lies inside a cached output: tensor storages and models, found without knowing the classes that hold them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_OBJECTS = 2000
"""Objects looked at in one output at most: a list of small masks must not cost more than it could free."""

MAX_DEPTH = 6


@dataclass
class Contents:
    """Storages by identity: bytes in RAM and on devices; models by identity, with their bytes in RAM."""

    ram: dict[int, int] = field(default_factory=dict)
    vram: dict[int, int] = field(default_factory=dict)
    models: dict[int, int] = field(default_factory=dict)


def contents(outputs: Iterable[Any]) -> Contents:
    """Look through lists, dicts and plain objects. torch is used only where ComfyUI has loaded it."""
    torch = sys.modules.get("torch")
    found = Contents()
    if torch is None:
        return found
    seen: set[int] = set()
    stack: list[tuple[Any, int]] = [(list(outputs), 0)]
    while stack and len(seen) < MAX_OBJECTS:
        value, depth = stack.pop()
        if value is None or isinstance(value, (str, bytes, int, float)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            _add_tensor(value, found)
        elif isinstance(value, torch.nn.Module):
            found.models[id(value)] = _module_bytes(value)
        elif callable(getattr(value, "model_size", None)) and hasattr(value, "load_device"):
            # A ModelPatcher: clones of it share the module, which is what holds the weights.
            found.models[id(getattr(value, "model", value))] = _in_ram(value)
        elif depth < MAX_DEPTH:
            if isinstance(value, Mapping):
                stack += [(v, depth + 1) for v in value.values()]
            elif isinstance(value, (list, tuple, set, frozenset)):
                stack += [(v, depth + 1) for v in value]
            elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
                patcher = getattr(value, "patcher", None)
                if patcher is not None:  # VAE, CLIP and CLIP vision: the patcher knows their weights
                    stack.append((patcher, depth + 1))
                else:
                    stack += [(v, depth + 1) for v in vars(value).values()]
    return found


def _add_tensor(tensor: Any, found: Contents) -> None:
    storage = tensor.untyped_storage()
    where = found.ram if tensor.device.type == "cpu" else found.vram
    where[storage._cdata] = storage.nbytes()


def _module_bytes(module: Any) -> int:
    return sum(p.nbytes for p in module.parameters() if p.device.type == "cpu")


def _in_ram(patcher: Any) -> int:
    size = int(patcher.model_size())
    device = getattr(patcher, "load_device", None)
    if getattr(device, "type", "cpu") == "cpu":
        return size
    loaded = patcher.loaded_size() if hasattr(patcher, "loaded_size") else 0
    return max(0, size - int(loaded))
