"""What lies inside a cached output: tensor storages and models, found without knowing the classes that hold them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

log = logging.getLogger(__name__)

MAX_OBJECTS = 2000
"""Objects looked at in one output at most: a list of small masks must not cost more than it could free."""

MAX_DEPTH = 6


class Contents:
    """Storages by identity: bytes in RAM and on devices; models by identity, with their bytes in RAM."""

    def __init__(self) -> None:
        self.ram: dict[int, int] = {}
        self.vram: dict[int, int] = {}
        self.models: dict[int, int] = {}


def contents(outputs: Iterable[Any], torch: Any = None) -> Contents:
    """Look through lists, dicts and plain objects. What raises when it is looked at counts as nothing.

    Args:
        torch: the module; None for the one that ComfyUI has loaded, and nothing is found where it has not.
    """
    torch = torch or sys.modules.get("torch")
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
        try:
            stack += [(v, depth + 1) for v in _look(value, depth, torch, found)]
        except Exception as error:  # noqa: BLE001 - foreign objects: looking at their attributes runs foreign code
            log.debug("cannot look into a %s: %s", type(value).__name__, error)
    return found


def _look(value: Any, depth: int, torch: Any, found: Contents) -> list[Any]:
    """Count `value` if it holds memory itself; else return what is inside."""
    if isinstance(value, torch.Tensor):
        _add_tensor(value, found)
    elif isinstance(value, torch.nn.Module):
        found.models[id(value)] = _module_bytes(value)
    elif callable(getattr(value, "model_size", None)) and hasattr(value, "load_device"):
        # A ModelPatcher: clones of it share the module, which is what holds the weights.
        found.models[id(getattr(value, "model", value))] = _in_ram(value)
    elif depth < MAX_DEPTH:
        if isinstance(value, dict):
            return list(dict.values(value))  # of another mapping only its attributes: some load when they are looked at
        if isinstance(value, (list, tuple, set, frozenset)):
            return list(value)
        if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
            patcher = getattr(value, "patcher", None)
            # VAE, CLIP and CLIP vision: the patcher knows their weights.
            return list(vars(value).values()) if patcher is None else [patcher]
    return []


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
