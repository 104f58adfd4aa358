from __future__ import annotations

import subprocess
import sys


def test_importing_the_monitor_brings_neither_torch_nor_comfyui_nor_the_nvidia_module():
    code = (
        "import sys, resource_gate.monitor.build, resource_gate.monitor.history, resource_gate.monitor.metrics, "
        "resource_gate.monitor.peak\n"
        "print([m for m in ('torch', 'comfy', 'nodes', 'server', 'pynvml', 'resource_gate.reclaim') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
