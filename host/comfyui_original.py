"""What a function of ComfyUI's queue or server would be without us: ComfyUI's own, or another pack's."""

from __future__ import annotations

from typing import Any


class Original:
    """Calls it as it stands at each call: a pack may yet patch the class, and ours on the instance would hide that.

    Build it before ours is put in place.

    Args:
        hooked: the queue or the server.
    """

    def __init__(self, hooked: Any, name: str) -> None:
        self._object = hooked
        self._name = name
        self._held = getattr(hooked, "__dict__", {}).get(name)
        """Put on this object by another pack, before us."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with just what was given: other packs take less than ComfyUI does, or only by name."""
        if self._held is not None:
            return self._held(*args, **kwargs)
        return getattr(type(self._object), self._name)(self._object, *args, **kwargs)

    @property
    def owner(self) -> str | None:
        """The module of another pack that holds it; None where it is that of its own class."""
        function = self._held if self._held is not None else getattr(type(self._object), self._name)
        module = str(getattr(function, "__module__", "?"))
        return None if module in {kind.__module__ for kind in type(self._object).__mro__} else module
