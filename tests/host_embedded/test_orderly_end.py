"""What the end of the process does, in a process that ends."""

from __future__ import annotations

import subprocess
import sys

AFTER_OURS = """
import atexit, sys
from pathlib import Path
from resource_gate.extension import Extension
from resource_gate.gate.host import Job
from resource_gate.host.embedded import EmbeddedHost


def gone(event, data, client):
    raise RuntimeError("Event loop is closed")


extension = Extension(EmbeddedHost(Path(sys.argv[1])))


@atexit.register
def after_ours():
    print(extension.panel.listener.may_start(Job("b", 1.0)).start, extension.journal._store.is_open)


extension.start()
print(extension.panel.listener.may_start(Job("a", 0.0)).start, extension.journal._store.is_open)
extension.sampler.stop()
extension.host.listen(gone)
extension.watchers.renew("me")
"""


def test_from_the_end_on_no_prompt_starts_that_no_journal_would_know_of(tmp_path):
    """Other packs' ends may take their time after ours, and the worker runs on until the process is gone."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER_OURS, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == ["True True", "False False"]
