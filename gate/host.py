"""What the gate needs of the program it runs in, and what it offers it. `host/` implements it; tests fake it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from .compact import ENCODE
from .title import title_of


class Job(NamedTuple):
    """A queued prompt."""

    id: str
    number: float
    graph: Mapping[str, Any] = MappingProxyType({})
    """In API format: node id → `{"class_type": …, "inputs": {…}}`."""
    outputs: tuple[str, ...] = ()
    """Ids of the output nodes that it is to run."""

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.number}, outputs={self.outputs})"


class _Queued(NamedTuple):
    id: str
    number: float
    graph: Mapping[str, Any]
    outputs: tuple[str, ...] = ()
    extra_data: Mapping[str, Any] = MappingProxyType({})


class Queued(_Queued):
    """A prompt as it lies in the queue, with all that it takes to put it there again."""

    def __repr__(self) -> str:
        return f"Queued({self.id!r}, {self.number}, outputs={self.outputs})"

    @cached_property
    def text(self) -> str:
        """The graph as JSON; made once, for all who keep or compare it."""
        return ENCODE(self.graph)

    @cached_property
    def title(self) -> str:
        """A short name, for a person."""
        return title_of(self.graph, self.outputs, self.extra_data)


class NodeStart(NamedTuple):
    """A node about to run, between two nodes of a prompt."""

    job_id: str
    node_id: str
    class_type: str
    inputs: Mapping[str, Any] = MappingProxyType({})
    """Input name → value, links resolved; tensors and all."""
    runs: int = 1
    """Times it runs for this prompt: more where it is given a list."""

    def __repr__(self) -> str:
        return f"NodeStart({self.job_id!r}, {self.node_id!r}, {self.class_type!r})"


class Outcome(NamedTuple):
    """How a prompt ended."""

    job_id: str
    ok: bool
    error_type: str = ""
    """`torch.OutOfMemoryError`, `interrupted` …; empty where it went well."""
    error: str = ""
    node_id: str = ""


class Verdict(NamedTuple):
    """Whether the waiting prompt may start now; if not, why, and when to ask again (seconds)."""

    start: bool
    reason: str = ""
    again_in: float = 0.5
    instead: str = ""
    """Id of a later prompt that may start meanwhile."""
    refused: bool = False
    """It never will: the prompt is to end as failed, with `reason`, without having run."""


class JobListener(Protocol):
    """What the gate offers a host. The host calls it on the worker thread, and contains what it may raise."""

    def accepted(self, prompt: Queued) -> None:
        """A prompt is about to be queued; told before anybody may hear that it is. Any thread."""
        ...

    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue by somebody. Any thread."""
        ...

    def may_start(self, job: Job) -> Verdict:
        """Asked before a prompt leaves the queue, again and again until it may."""
        ...

    def nothing_waits(self) -> None:
        """The queue is empty: a prompt that was held may have been deleted."""
        ...

    def started(self, job: Job) -> None:
        """The prompt has left the queue."""
        ...

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run."""
        ...

    def retry(self, outcome: Outcome) -> bool:
        """Asked when a prompt has failed, before anybody is told: whether it is to be tried again.

        Then the host puts it back first in line, and neither `ended` nor any event tells of the attempt.
        """
        ...

    def changed_graph(self, job_id: str) -> Mapping[str, Any] | None:
        """Asked when a prompt goes back in line: the graph it is to run with from now on; None for its own."""
        ...

    def put_back(self, job_id: str) -> None:
        """`requeue` has stopped the prompt, and it is about to be first in line again."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """The prompt is done, failed or interrupted; told before the history shows it."""
        ...


class QueueView(NamedTuple):
    """The queue at one moment."""

    running: Sequence[str]
    """Ids of running prompts."""
    pending: int
    node: str = ""
    """The node that runs, id and class."""
    progress: float | None = None
    """Share of that node's own progress bar, 0–1."""


class QueueHost(Protocol):
    """The program's queue, for the gate. Any thread."""

    name: str
    """`ComfyUI` or `embedded`."""
    version: str

    def attach(self, listener: JobListener) -> None:
        """Hook the queue; from now on `listener` is asked. What cannot be hooked is told by `degraded`."""
        ...

    def wake(self) -> None:
        """Make the worker ask again now."""
        ...

    def requeue(self, job_id: str) -> bool:
        """Interrupt this job if it runs, and put it back first in line with the same id; tells whether it runs.

        Who waits for it sees one job that takes longer: no history entry, no event of the first attempt's end.
        """
        ...

    def hold_answers(self, on_disk: Callable[[], Awaitable[None]]) -> bool:
        """Await `on_disk` before a client hears that its prompt was taken; False where that cannot be done."""
        ...

    def number_after(self, number: float) -> None:
        """Give prompts that are queued from now on higher numbers than this one."""
        ...

    def refusal(self, prompt: Queued) -> str:
        """Why this prompt cannot be run here (a node that is not installed any more); empty where it can.

        May block for seconds, until the server serves; not on its event loop.
        """
        ...

    def put_again(self, prompt: Queued) -> None:
        """Put a prompt of an earlier process into the queue, with its id and number; `accepted` is not told."""
        ...

    def view(self) -> QueueView:
        """Look at the queue."""
        ...

    def worker_alive(self) -> bool | None:
        """Whether the thread that runs prompts lives; None before it was first seen."""
        ...

    def degraded(self) -> Mapping[str, str]:
        """What this host cannot do here: feature → reason."""
        ...

    def push(self, event: str, data: Mapping[str, Any], client: str | None = None) -> None:
        """Send an event to one browser client, or to all."""
        ...
