"""Starts and stops a server of ours: a real ComfyUI or the embedded host, on its own folder, port and memory limit."""

from __future__ import annotations

import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..client import READY_TIMEOUT, Client, ClientError, NotReady
from .base_directory import make_base_directory
from .find_comfyui import ComfyUI
from .memory_limit import LimitedProcess, start_limited

STOP_TIMEOUT = 15.0
"""Seconds after SIGINT before SIGKILL: ComfyUI's threads end with the node that runs, seconds on a CPU."""
TORCH_TIMEOUT = 120.0
"""Seconds to import torch and ask it for a device, on a cold disk."""
LOG_TAIL = 4000
"""Characters of the log told with an error: a traceback of ComfyUI fits."""
ASK_TORCH = """
import sys, torch
mps = getattr(torch.backends, "mps", None)
sys.exit(0 if torch.cuda.is_available() or (mps and mps.is_available()) else 1)
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSpec:
    """What to start.

    Attributes:
        comfyui: the installation, or None for the embedded host.
        gate: with Resource Gate, or stock (embedded: `--no-gate`).
        flags: further arguments of the server.
        limit: bytes of RAM, or None.
        extra_nodes: further custom nodes, name → source.
        environment: added to ours.
        models: a models folder to use; an empty one otherwise.
    """

    comfyui: ComfyUI | None
    gate: bool = True
    flags: tuple[str, ...] = ()
    limit: int | None = None
    extra_nodes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    models: Path | None = None


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def sees_gpu(python: Path) -> bool:
    """Whether that Python's torch has a device to run on. Without any card this asks no torch (it takes seconds)."""
    cards = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
    if sys.platform.startswith("linux") and not any(card.exists() for card in cards):
        return False
    asked = subprocess.run([str(python), "-c", ASK_TORCH], capture_output=True, timeout=TORCH_TIMEOUT, check=False)
    return asked.returncode == 0


def server_command(spec: ServerSpec, base: Path, port: int) -> list[str]:
    """Return the command line that starts `spec` on `port` with everything it writes below `base`."""
    if spec.comfyui is None:
        command = [sys.executable, "-m", "resource_gate.host.embedded", "--port", str(port)]
        return [*command, "--base-directory", str(base), *([] if spec.gate else ["--no-gate"]), *spec.flags]
    return [
        str(spec.comfyui.python),
        str(spec.comfyui.path / "main.py"),
        *("--listen", "127.0.0.1", "--port", str(port)),
        *("--base-directory", str(base), "--user-directory", str(base / "user")),
        *("--database-url", f"sqlite:///{(base / 'user' / 'comfyui.db').as_posix()}"),
        *("--disable-api-nodes", "--disable-auto-launch"),
        *([] if "--cpu" in spec.flags or sees_gpu(spec.comfyui.python) else ["--cpu"]),
        *spec.flags,
    ]


class ServerProcess:
    """One server on one base folder; it may be started again after it died.

    Args:
        spec: what to start.
        base: its folder; output, models, user data and the log stay in it from start to start.
        say: takes lines worth a person's while.
        stop_timeout: seconds after SIGINT before SIGKILL.

    Use as a context manager: it is started and ready inside, stopped after.
    """

    def __init__(
        self,
        spec: ServerSpec,
        base: Path,
        say: Callable[[str], None] = logger.info,
        stop_timeout: float = STOP_TIMEOUT,
    ) -> None:
        self.spec = spec
        self.base = base.resolve()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = Client(self.url)
        self.log = self.base / "server.log"
        self._say = say
        self._stop_timeout = stop_timeout
        self._child: LimitedProcess | None = None
        self._log_file: IO[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def child(self) -> LimitedProcess:
        """The process, with what is known of its memory; that of the last start, once it has ended.

        Raises:
            RuntimeError: it was never started.
        """
        if self._child is None:
            raise RuntimeError("the server was never started")
        return self._child

    @property
    def peaks(self) -> tuple[int, int]:
        """Most bytes charged and most anonymous bytes since the last start; zeros before the first."""
        return (0, 0) if self._child is None else (self._child.peak, self._child.anonymous_peak)

    @property
    def alive(self) -> bool:
        """Whether the process runs now."""
        return self._child is not None and self._child.process.poll() is None

    def start(self, timeout: float = READY_TIMEOUT) -> float:
        """Start, and wait until it answers; return the seconds that took.

        Raises:
            NotReady: it did not come up, or without Resource Gate where it should have it; the end of its log is in
                the message.
            OSError: the program cannot be started.
        """
        self.stop()
        self._make_base()
        self._log_file = self.log.open("ab")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.environment}
        self._child = start_limited(
            server_command(self.spec, self.base, self.port),
            self.spec.limit,
            say=self._say,
            cwd=self.base,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C at our terminal is ours to pass on, once
        )
        try:
            seconds = self.client.wait_ready(timeout, lambda: self.alive)
            if self.spec.gate and self.client.status() is None:
                raise NotReady(f"{self.url} came up without Resource Gate")
            return seconds
        except ClientError as error:
            self.stop()
            raise NotReady(f"{error}; the end of {self.log}:\n{self.log_tail()}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does; after `stop_timeout` seconds, or if it has ended already, clean up."""
        if self._child is None:
            return
        process = self._child.process
        if process.poll() is None:
            if os.name == "posix":
                process.send_signal(_orderly_signal())
            else:
                process.terminate()
            give_up = time.monotonic() + self._stop_timeout
            while process.poll() is None and time.monotonic() < give_up:
                time.sleep(0.05)
        self._child.close()
        if self._log_file is not None:
            self._log_file.close()

    def kill(self) -> None:
        """End it as the kernel does, with no chance to clean up (SIGKILL)."""
        self.child.kill()

    def log_tail(self, characters: int = LOG_TAIL) -> str:
        """Return the end of what the server wrote."""
        try:
            return self.log.read_text("utf-8", "replace")[-characters:]
        except OSError:
            return ""

    def _make_base(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        if self.spec.comfyui is not None:
            make_base_directory(
                self.base,
                extension=self.spec.gate,
                extra_nodes=self.spec.extra_nodes,
                models=self.spec.models,
            )


def _orderly_signal() -> signal.Signals:
    # What a shell's script starts with `&` ignores SIGINT, and so does all that it starts.
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return signal.SIGTERM if ignored else signal.SIGINT
