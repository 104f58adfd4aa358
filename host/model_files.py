"""How large model files are, by the names that graphs give them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

NO_MODELS = frozenset({"configs", "custom_nodes"})
"""Of ComfyUI's folders, those that hold no weights."""


class ModelFiles:
    """Any thread.

    Args:
        folders: ComfyUI's `folder_paths`, which keeps a name from leading out of its folders.
    """

    def __init__(self, folders: Any) -> None:
        self._folders = folders
        self._told = False

    def size_of(self, name: str) -> int:
        """Bytes of the largest file of that name in any of the folders; 0 where there is none."""
        try:
            kinds = [kind for kind in list(self._folders.folder_names_and_paths) if kind not in NO_MODELS]
            paths = [path for kind in kinds if (path := self._folders.get_full_path(kind, name))]
            return max((Path(path).stat().st_size for path in paths), default=0)
        except Exception:  # another program's module: prediction goes without
            if not self._told:
                self._told = True
                log.warning("model files cannot be looked at; weights are not foretold from them", exc_info=True)
            return 0
