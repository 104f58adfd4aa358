"""How one attempt of a job failed, and whether that may pass."""

from __future__ import annotations

from ...gate.retry import ErrorKind
from ...reclaim.action import Cause
from .result import LOST, OUTPUT

MEMORY = frozenset({ErrorKind.MEMORY.value, ErrorKind.DEVICE_MEMORY.value})


class Failure(Exception):  # noqa: N818 - it is how something ended
    """An attempt that failed.

    Args:
        kind: one of the names in `result`, or a value of `gate.retry.ErrorKind`.
        text: one line for people.
        node: `5 LoadVideo`, where one failed.
        same_prompt: the server has no end of it: it is sent again under its id.
        cause: what the server did, as a code; None where no server is to blame, or where only the text tells.
    """

    def __init__(
        self, kind: str, text: str, node: str = "", *, same_prompt: bool = False, cause: Cause | None = None
    ) -> None:
        super().__init__(text)
        self.kind, self.text, self.node, self.same_prompt, self.cause = kind, text, node, same_prompt, cause

    def may_pass(self, retried: int, retries: int) -> bool:
        """Whether another try makes sense after `retried` of `retries`.

        Memory and broken outputs only under changed conditions (see `wants_memory_freed`), and so once.
        """
        if self.wants_memory_freed:
            return retried < min(1, retries)
        if self.kind == ErrorKind.TRANSIENT.value or (self.kind == LOST and self.same_prompt):
            return retried < retries
        return False

    @property
    def wants_memory_freed(self) -> bool:
        """Whether everything is to be freed first: for room, or so that the server makes an output anew."""
        return self.kind in MEMORY or self.kind == OUTPUT
