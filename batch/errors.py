"""What can go wrong between us and a server, each with a name of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from ..reclaim.action import Cause


class ClientError(Exception):
    """Whatever a server, or its absence, did to a call of ours.

    Attributes:
        code: names what happened, for a panel in the user's language; empty where only the words tell.
    """

    code: ClassVar[str] = ""

    @property
    def cause(self) -> Cause | None:
        """What happened as a code and what belongs to it; None where only the words tell."""
        return {"code": self.code} if self.code else None


class ServerGone(ClientError):  # noqa: N818 - these name what happened, as a person would
    """Nobody listens there, or the connection broke: it has died, or is not up yet."""

    code = "gone"


class ServerSilent(ClientError):  # noqa: N818
    """It took the connection but did not answer in time."""

    code = "slow"


class NotReady(ClientError):  # noqa: N818
    """It did not come up in time, or its process ended before it did."""


class BadAnswer(ClientError):  # noqa: N818
    """It answered something that this protocol does not know."""

    code = "odd"


class RequestRefused(ClientError):  # noqa: N818
    """It answered with an error: `status` is HTTP's, `body` the parsed JSON or the text."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.body = body

    @property
    def cause(self) -> Cause:
        """With HTTP's status."""
        return {"code": "http", "status": str(self.status)}


class PromptRefused(RequestRefused):
    """The graph is not valid; sending it again cannot help. `details` is the server's own JSON."""

    @property
    def details(self) -> Any:
        """What the server says is wrong: `error`, and `node_errors` by node id."""
        return self.body


class JobLost(ClientError):  # noqa: N818
    """The server knows nothing of the job: neither queued, nor running, nor in its history."""

    code = "forgot"


class JobTimeout(ClientError):  # noqa: N818
    """The job did not end in the time given for it; it may still run."""

    code = "late"
