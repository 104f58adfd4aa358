"""Reports of machines and instances that a test makes as it needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GB = 1024**3


@pytest.fixture
def machine() -> Callable[..., dict[str, Any]]:
    """A machine on which nothing is amiss, but for what a test says."""

    def make(**other: Any) -> dict[str, Any]:
        return {
            "system": "Linux-6.1",
            "python": "3.12.1",
            "cpus": 16,
            "libraries": {"torch": "2.11.0+cu130", "nvidia-ml-py": "13.0"},
            "ram": {"used": 10 * GB, "limit": 64 * GB, "source": "host"},
            "host_memory": [{"used": 10 * GB, "limit": 64 * GB, "source": "host"}],
            "swap": {"total": 16 * GB, "free": 16 * GB},
            "overcommit": 0,
            "disks": {"output": {"free": 500 * GB, "total": 1000 * GB}},
            "driver": "580.65",
            **other,
        }

    return make


@pytest.fixture
def status() -> Callable[..., dict[str, Any]]:
    """The status object of a healthy instance, but for what a test says."""

    def make(**other: Any) -> dict[str, Any]:
        return {
            "version": "0.1.0",
            "host": {"name": "ComfyUI", "version": "0.33.0"},
            "level": "normal",
            "resources": {
                "ram": {"fraction": 0.5, "level": "normal", "source": "host"},
                "disk_output": {"fraction": 0.5, "level": "normal", "path": "/mnt/client-x/out", "roles": ["output"]},
            },
            "process": {"rss": 1, "peak": 2},
            "gpus": [{"name": "NVIDIA X", "uuid": "GPU-1234", "used": 1}],
            "temp": {"path": "/home/ada/ComfyUI/temp", "bytes": 7},
            "worker_alive": True,
            "gate": {"state": "open", "reason": "prompt of ada", "job": "secret-id"},
            "queue": {"running": ["secret-id"], "pending": 3, "node": "12 SecretNode", "progress": None},
            "degraded": {},
            "monitor": {"interval": 5.0, "late": 0.0, "problems": {}},
            **other,
        }

    return make
