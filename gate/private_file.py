"""How a file is made that only its owner may read: what is written about a user's prompts is nobody else's business."""

from __future__ import annotations

import os


def private(path: str, flags: int) -> int:
    """An `opener` for `open`: a new file gets mode 0600. On Windows a user's folders are private by inheritance."""
    return os.open(path, flags, 0o600)
