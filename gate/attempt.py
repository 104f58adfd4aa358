"""The note of a run that tries a size: if the process dies in it, the next one finds the note and learns from it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from .prediction.history import Run, parsed
from .private_file import private

log = logging.getLogger(__name__)

FILE = "attempt.json"


class AttemptNote:
    """One file, there while such a run is under way. What goes wrong with it costs only the lesson."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._there = False

    def left(self) -> tuple[str, Run] | None:
        """The id and the run that an earlier process did not end; the note is taken away. Call once, at the start."""
        try:
            text = self._path.read_text("utf-8")
            self._path.unlink()
            note = json.loads(text)
            run = parsed(note["run"])
            return None if run is None else (str(note["job"]), run)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s cannot be read (%s): what an earlier process died of is not learned", self._path, error)
            return None

    def write(self, job_id: str, run: Run) -> None:
        """This run is about to try; `run` is what to learn if it never ends."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "w", encoding="utf-8", opener=private) as file:
                json.dump({"job": job_id, "run": run.line()}, file)
            self._there = True
        except OSError as error:
            log.warning("%s cannot be written (%s): a death would teach nothing", self._path, error)

    def clear(self) -> None:
        """It has ended."""
        if self._there:
            try:
                self._path.unlink(missing_ok=True)
                self._there = False
            except OSError as error:  # on Windows somebody may be reading it: then the next end takes it away
                log.debug("%s is left for now: %s", self._path, error)
