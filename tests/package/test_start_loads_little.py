"""What only a request or a prompt needs is not loaded by ComfyUI's start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STARTED = """
import json, sys
from pathlib import Path
from resource_gate.extension import Extension
from resource_gate.host.embedded import EmbeddedHost
extension = Extension(EmbeddedHost(Path(sys.argv[1])))
AND_THEN
print(json.dumps([name.removeprefix("resource_gate.") for name in sys.modules if name.startswith("resource_gate.")]))
"""

AT_A_REQUEST = {"api.routes", "api.schemas", "api.metrics", "api.predictions", "api.doctor", "doctor.report"}
AT_A_PROMPT = {"gate.prediction.prediction", "gate.prediction.predict", "gate.prediction.features"}


@pytest.fixture
def loaded(tmp_path):
    def loaded(then=""):
        code = STARTED.replace("AND_THEN", then)
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
        )
        return set(json.loads(done.stdout.splitlines()[-1]))

    return loaded


def test_a_start_loads_neither_routes_nor_prediction(loaded):
    assert not loaded("extension.start()") & (AT_A_REQUEST | AT_A_PROMPT)


def test_the_first_request_loads_the_routes(loaded):
    assert loaded("list(extension.handlers())") >= {"api.routes", "api.schemas", "api.predictions", "api.doctor"}


def test_the_first_prompt_finds_prediction_loaded(loaded):
    assert loaded("extension.prediction.problem") >= AT_A_PROMPT
