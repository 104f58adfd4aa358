"""A server on a real card, as the tests use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from resource_gate.batch.local.server_process import ServerProcess

from ..small_models import node, with_models

MIB = 1024**2
VAE, CLIP = "AutoencoderKL", "SD1ClipModel"


class Card:
    """One server, and what its card holds."""

    def __init__(self, server: ServerProcess, dynamic: bool) -> None:
        self.server, self.client, self.dynamic = server, server.client, dynamic

    def look(self) -> dict[str, Any]:
        """As torch tells it in the server, bytes."""
        return dict(self.client.call("GET", "/card"))

    def reading(self) -> dict[str, Any]:
        """As Resource Gate tells it, from a sample taken after this call."""
        asked = time.time()
        self.until(lambda: self.client.status()["time"] > asked + 0.3)
        return dict(self.client.status()["gpus"][0])

    def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        give_up = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up, self.server.log_tail()
            time.sleep(0.1)

    def run(self, graph: dict[str, Any]) -> Any:
        """Run it; return the job as Resource Gate tells of it."""
        prompt_id = self.client.submit(graph)
        self.client.wait_for_end(prompt_id, timeout=120)
        [job] = [j for j in self.client.call("GET", "/resource_gate/batch")["jobs"] if j["id"] == prompt_id]
        return job

    def take(self, megabytes: float, seed: int = 0, **more: Any) -> Any:
        """A prompt that takes so much for a moment."""
        return self.run({"take": node("TakeVram", megabytes=megabytes, seed=seed, **more)})

    def keep(self, megabytes: float, seed: int = 0) -> Any:
        """A prompt whose output stays on the card."""
        return self.run({"keep": node("KeepVram", megabytes=megabytes, seed=seed)})

    def load_models(self, text: str = "a", mask: float = 1.0) -> Any:
        """Two text encoders and a VAE; small pictures, so that weights are most of what it takes."""
        return self.run(with_models(text, mask))

    def loaded(self) -> list[str]:
        """Kinds of the models that have weights on the card."""
        return [kind for kind, size in self.look()["models"] if size]

    def free(self, level: str) -> dict[str, Any]:
        """What the ladder did about the card."""
        answer = self.client.call("POST", "/resource_gate/free", {"level": level})
        return next((a for a in answer["actions"] if a["resource"] == "vram0"), {})

    def climb(self, goal: int | None) -> dict[str, Any]:
        """The same for so many bytes."""
        return dict(self.client.call("POST", "/card/climb", {"goal": goal}))
