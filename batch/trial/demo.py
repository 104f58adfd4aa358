"""`resource-gate demo`: one short batch under a memory limit, without and with the gate, on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from ..client import ClientError
from ..local.find_comfyui import ComfyUI, find_comfyui
from ..local.server_process import ServerSpec
from .calibration import MIB, CalibrationError, limit_between, measure
from .sample_jobs import ClipJob, plain_clip
from .trial import TrialError, TrialResult, run_trial
from .view import RESULT_HEAD, View, result_row, table

CLIPS = 6
"""Enough for stock to die more than once, and both batches to end within two minutes on two cores."""
MEASURED_CLIPS = 2
"""The second clip shows what stock adds by keeping the first one's outputs."""
INTERRUPTED = 130
"""The exit status of a program ended by Ctrl-C, as shells count (128 + SIGINT)."""


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the demo's options to a parser, and return it."""
    parser.add_argument("--clips", type=int, default=CLIPS, metavar="N", help="clips in the batch (%(default)s)")
    parser.add_argument(
        "--host",
        choices=("auto", "comfyui", "embedded"),
        default="auto",
        help="a real ComfyUI, the embedded host, or a ComfyUI if one is found (%(default)s)",
    )
    parser.add_argument("--limit-mb", type=int, metavar="MB", help="the memory limit; measured if not given")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep clips and logs there")
    return parser


def run_demo(options: argparse.Namespace | Sequence[str] = (), out: TextIO | None = None) -> int:
    """Run the demo; return 0 if the gated batch came out whole, 1 if not, 2 if it could not be run.

    Args:
        options: arguments, or what a parser with `add_arguments` made of them.
        out: where to print; standard output by default.
    """
    if not isinstance(options, argparse.Namespace):
        options = add_arguments(argparse.ArgumentParser(prog="resource-gate demo")).parse_args(options)
    out = out or sys.stdout
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit)  # so that a kill of the demo ends its servers too
    with tempfile.TemporaryDirectory(prefix="resource-gate-demo-") as folder:
        base = options.keep or Path(folder)
        try:
            return _Demo(options, base, out).run()
        except (ClientError, TrialError, CalibrationError, OSError) as error:
            out.write(f"The demo could not be run: {error}\n")
            return 2
        except KeyboardInterrupt:
            out.write("\nInterrupted.\n")
            return INTERRUPTED


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class _Demo:
    def __init__(self, options: argparse.Namespace, base: Path, out: TextIO) -> None:
        self._options, self._base, self._out = options, base, out
        self._comfyui: ComfyUI | None = None

    def run(self) -> int:
        if not self._choose_host():
            return 2
        limit = self._options.limit_mb * MIB if self._options.limit_mb else self._measured_limit()
        results = {name: self._batch(name, gate, limit) for name, gate in (("without", False), ("with", True))}
        rows = [result_row(f"{name} the gate", result) for name, result in results.items()]
        self._say("\n" + table(RESULT_HEAD, rows))
        gated = results["with"]
        for job in gated.jobs:
            if job.state != "done":
                self._say(f"{job.name}: {job.state}, {job.reason}")
        if not gated.verified:
            self._say("The files were not decoded: neither PyAV nor ffprobe is here.")
        if self._options.keep:
            self._say(f"Clips and logs: {self._base}")
        return 0 if gated.whole else 1

    def _choose_host(self) -> bool:
        wanted = self._options.host
        if wanted == "embedded":
            self._say("Host: the embedded host.")
            return True
        finding = find_comfyui()
        self._comfyui = finding.comfyui
        if finding.comfyui is not None:
            self._say(f"Host: {finding.reason}.")
            return True
        if wanted == "comfyui":
            self._say(f"No host: {finding.reason}.")
            return False
        self._say(f"Host: the embedded host ({finding.reason}).")
        return True

    def _measured_limit(self) -> int:
        self._say(f"Measuring what {MEASURED_CLIPS} clips need without a limit …")
        jobs = [plain_clip(index) for index in range(MEASURED_CLIPS)]
        peaks = measure(ServerSpec(self._comfyui, gate=False), jobs, self._base / "measure", self._say)
        limit = limit_between(peaks.first, peaks.all)
        self._say(
            f"At rest {peaks.idle // MIB} MB, with one clip {peaks.first // MIB} MB, with the next one "
            f"{peaks.all // MIB} MB. The limit is {limit // MIB} MB."
        )
        return limit

    def _batch(self, name: str, gate: bool, limit: int) -> TrialResult:
        jobs: list[ClipJob] = [plain_clip(index) for index in range(self._options.clips)]
        self._say(f"\n{len(jobs)} clips {name} the gate, limit {limit // MIB} MB:")
        view = View(self._out, limit, gated=gate)
        spec = ServerSpec(self._comfyui, gate=gate, limit=limit)
        try:
            return run_trial(spec, jobs, self._base / name, progress=view.show, say=view.say)
        finally:
            view.end()

    def _say(self, text: str) -> None:
        with suppress(BrokenPipeError):  # `| head` may have left; the batch still ends in order
            self._out.write(text + "\n")
            self._out.flush()
