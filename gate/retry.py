"""Whether a prompt that failed is tried again: what kind of error it was, how often, and after how long."""

from __future__ import annotations

import enum
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from ..reclaim.action import Cause
from ..settings import Settings
from .host import Outcome

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Prompts whose tries are counted; the oldest are forgotten."""


class ErrorKind(enum.Enum):
    """What can be done about an error."""

    MEMORY = "out of memory"
    DEVICE_MEMORY = "out of device memory"
    TRANSIENT = "transient"
    VALIDATION = "validation"
    CANCELLED = "cancelled"
    BUG = "a node's own"


MEMORY_KINDS = frozenset({ErrorKind.MEMORY, ErrorKind.DEVICE_MEMORY})

DEVICE_MEMORY_TYPES = frozenset({"torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError"})
"""As ComfyUI names the type of what torch raises; the second is the older name."""

# Patterns are texts: the first error compiles them, not every start of ComfyUI.
DEVICE_MEMORY_TEXT = r"(?is)(CUDA|HIP|MPS|XPU)\b.{0,40}out of memory|out of memory on device|CUBLAS_STATUS_ALLOC_FAILED"

MEMORY_TYPES = r"(^|[._])(Array)?MemoryError$"

MEMORY_TEXT = (
    r"(?i)DefaultCPUAllocator|can't allocate memory|cannot allocate memory|not enough memory|paging file is too small"
)
"""Of torch on a CPU, of malloc, and of Windows (error 1455)."""

TRANSIENT_TYPES = (
    r"(Connect\w*|Timeout|TimedOut|Timeout\w*Error|\w*Timeout|BrokenPipe\w*|\w*Disconnected\w*|IncompleteRead"
    r"|RemoteProtocolError|ProtocolError|TemporaryFailure|gaierror|URLError|BlockingIOError|InterruptedError)$"
)
"""Last part of the name: of Python itself, requests, urllib3, aiohttp, httpx and websockets."""

TRANSIENT_TEXT = (
    r"(?i)timed out|temporarily unavailable|connection (reset|refused|aborted|closed)|stale file handle"
    r"|input/output error|resource busy|too many open files|temporary failure|unreachable"
    r"|being used by another process|HTTP.{0,20}\b(429|502|503|504)\b"
)
"""In errors of the system, whose type says too little."""

SYSTEM_TYPES = ("OSError", "IOError", "PermissionError", "HTTPError", "ClientError", "SSLError", "ReadError")


def classify(error_type: str, error: str) -> ErrorKind:
    """The kind of an error, by the name of its type and its message, as the executor tells them."""
    last = error_type.rpartition(".")[2]
    if error_type == "interrupted" or last == "InterruptProcessingException":
        return ErrorKind.CANCELLED
    if error_type == "validation":
        return ErrorKind.VALIDATION
    if error_type in DEVICE_MEMORY_TYPES or re.search(DEVICE_MEMORY_TEXT, error):
        return ErrorKind.DEVICE_MEMORY
    if last == "AcceleratorError" and "out of memory" in error.lower():
        return ErrorKind.DEVICE_MEMORY
    if re.search(MEMORY_TYPES, error_type) or (last in ("RuntimeError", "OSError") and re.search(MEMORY_TEXT, error)):
        return ErrorKind.MEMORY
    if re.match(TRANSIENT_TYPES, last) or (last.endswith(SYSTEM_TYPES) and re.search(TRANSIENT_TEXT, error)):
        return ErrorKind.TRANSIENT
    return ErrorKind.BUG


class _Tries:
    def __init__(self) -> None:
        self.transient = 0
        self.memory = 0
        self.due = 0.0
        self.since = 0.0
        self.until = 0.0


class Hold(NamedTuple):
    """A prompt that waits for its next try; times in seconds since the epoch."""

    reason: str
    since: float
    until: float
    cause: Cause | None = None
    """`reason` in parts."""


class Retries:
    """Counts the tries of prompts. On the worker thread."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._told = False

    def batch_allows(self, retried: int) -> bool:
        """Whether a batch in which so many tries were granted is granted another; said once where it is not."""
        limit = self._settings().gate.batch_retries
        if retried < limit:
            self._told = False
            return True
        if limit and not self._told:
            self._told = True
            log.warning(
                "%d tries were granted in this batch, and no more are (gate.batch_retries): what fails now has failed",
                retried,
            )
        return False

    def grant(self, outcome: Outcome, kind: ErrorKind) -> float | None:
        """Seconds until another try; None where there is to be none."""
        tries = self._tries.get(outcome.job_id) or _Tries()
        gate = self._settings().gate
        wait = 0.0
        if kind in MEMORY_KINDS:
            if tries.memory or not gate.retries:
                return None
            tries.memory += 1
        elif kind is ErrorKind.TRANSIENT and tries.transient < gate.retries:
            tries.transient += 1
            wait = gate.retry_wait * tries.transient
        else:
            return None
        tries.due = self._clock() + wait
        tries.since = self._wall()
        tries.until = tries.since + wait
        self._tries[outcome.job_id] = tries
        self._tries.move_to_end(outcome.job_id)
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        return wait

    def hold(self, job_id: str) -> Hold | None:
        """Why the prompt at the head of the queue may not start yet; None where it may."""
        tries = self._tries.get(job_id)
        left = 0.0 if tries is None else tries.due - self._clock()
        if tries is None or left <= 0:
            return None
        of = self._settings().gate.retries
        reason = f"waiting to retry, {tries.transient} of {of}, in {left:.0f} s"
        return Hold(reason, tries.since, tries.until, {"code": "retry", "n": tries.transient, "total": of})

    def over(self, job_id: str) -> None:
        """The prompt has come to its end."""
        self._tries.pop(job_id, None)
