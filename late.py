"""Built when it is first used: what ComfyUI's start need not wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

Made = TypeVar("Made")


class _Late:
    __slots__ = ("_late_lock", "_late_made", "_late_make")

    def __init__(self, make: Callable[[], Any]) -> None:
        setting = super().__setattr__
        setting("_late_lock", threading.RLock())
        setting("_late_make", make)
        setting("_late_made", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(_made(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_made(self), name, value)


def _made(late: _Late) -> Any:
    if late._late_made is None:
        with late._late_lock:
            if late._late_made is None:
                object.__setattr__(late, "_late_made", late._late_make())
    return late._late_made


def late(make: Callable[[], Made]) -> Made:
    """What `make` makes, made by the first look at one of its attributes, on the thread that looks. Any thread.

    What Python looks up on a class (`isinstance`, `len`, `==`) sees what stands in for it.
    """
    return cast(Made, _Late(make))
