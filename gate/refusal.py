"""Why a prompt of the journal is not queued again: in words, and in parts for the panel to say in its language."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from .host import Queued, QueueHost

log = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """One reason.

    Attributes:
        why: in English.
        cause: a code (`secret`, `unchecked`, …) and what belongs to it; None where ComfyUI said why, in its own words.
    """

    why: str
    cause: Mapping[str, str] | None = None

    def told(self, job_id: str, name: str) -> dict[str, Any]:
        """Return what a route answers for this job, the words under `name`."""
        return {"id": job_id, name: self.why, **({"cause": dict(self.cause)} if self.cause else {})}


def secret(stripped: str) -> Refusal:
    """Without the key that the journal did not keep it cannot run."""
    why = f"it held a key or password ({stripped}), which the journal does not keep; queue it once more"
    return Refusal(why, {"code": "secret", "what": stripped})


def of_host(host: QueueHost, prompt: Queued) -> Refusal | None:
    """Why the server would not take it now; None where it would. Never raises."""
    try:
        why = host.refusal(prompt)
    except Exception as error:
        log.exception("prompt %s could not be checked", prompt.id)
        told = f"{type(error).__name__}: {error}"
        return Refusal(f"it could not be checked ({told})", {"code": "unchecked", "what": told})
    return Refusal(why) if why else None
