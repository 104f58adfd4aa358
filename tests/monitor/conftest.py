"""Trees made like /proc and /sys, clocks that a test turns, and NVML with no card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resource_gate.monitor.ram import RamReader

from .sampled import Heard, Ram

GIB = 1024**3
MIB = 1024**2
NO_LIMIT_V1 = 9223372036854771712


class Clock:
    """Monotonic seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Tree:
    """A machine as its files tell of it: `root/proc` and `root/sys`."""

    root: Path
    proc: Path = field(init=False)
    sys: Path = field(init=False)

    def __post_init__(self) -> None:
        self.proc, self.sys = self.root / "proc", self.root / "sys"
        (self.proc / "self").mkdir(parents=True)
        self.sys.mkdir()

    def memory(self, total: int, available: int, swap_total: int = 0, swap_free: int = 0) -> Tree:
        text = (
            f"MemTotal:       {total // 1024} kB\nMemFree:          1000 kB\n"
            f"MemAvailable:   {available // 1024} kB\nBuffers:           0 kB\nCached:            0 kB\n"
            f"SwapCached:            0 kB\nSwapTotal:      {swap_total // 1024} kB\n"
            f"SwapFree:       {swap_free // 1024} kB\n"
        )
        (self.proc / "meminfo").write_text(text)
        return self

    def member_of(self, *lines: str) -> Tree:
        (self.proc / "self/cgroup").write_text("".join(f"{line}\n" for line in lines))
        return self

    def mounts(self, *lines: str) -> Tree:
        (self.proc / "self/mountinfo").write_text("".join(f"{line}\n" for line in lines))
        return self

    def v1(
        self, path: str, usage: int, limit: int = NO_LIMIT_V1, inactive: int = 0, active: int = 0, above: int = 0
    ) -> Path:
        """Write a v1 group at `sys/memory<path>`; the bare stat keys are its own, the total_ ones count."""
        folder = self.sys / "memory" / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.usage_in_bytes").write_text(f"{usage}\n")
        (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (folder / "memory.use_hierarchy").write_text("1\n")
        (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
        (folder / "memory.stat").write_text(
            f"cache 1\nrss 2\ninactive_file 7\nactive_file 7\nhierarchical_memory_limit {above or limit}\n"
            f"total_cache 1\ntotal_inactive_file {inactive}\ntotal_active_file {active}\n"
        )
        return folder

    def v2(
        self, path: str, usage: int, limit: int | str = "max", inactive: int = 0, active: int = 0, high: Any = "max"
    ) -> Path:
        """Write a v2 group at `sys<path>`."""
        folder = self.sys / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.current").write_text(f"{usage}\n")
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.high").write_text(f"{high}\n")
        (folder / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n")
        (folder / "memory.stat").write_text(
            f"anon 5\nfile 6\ninactive_anon 1\nactive_anon 2\ninactive_file {inactive}\nactive_file {active}\n"
        )
        return folder

    def reader(self, clock: Callable[[], float] | None = None, hand_limit: int = 0) -> RamReader:
        more = {} if clock is None else {"clock": clock}
        return RamReader(self.proc, self.sys, hand_limit, **more)


V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def bare_host(tree: Tree) -> Tree:
    """64 GiB, 24 in use; systemd's groups without a limit."""
    tree.memory(64 * GIB, 40 * GIB, 8 * GIB, 7 * GIB).mounts(V2_MOUNT)
    tree.member_of("0::/user.slice/user-1000.slice/session-2.scope")
    tree.v2("/user.slice/user-1000.slice/session-2.scope", 9 * GIB)
    tree.v2("/user.slice/user-1000.slice", 10 * GIB)
    tree.v2("/user.slice", 11 * GIB)
    return tree


@pytest.fixture
def docker_v1(tree: Tree) -> Tree:
    """A container with 8 GiB on a 64 GiB host; the path in /proc/self/cgroup is the host's, the mount hides it."""
    tree.memory(64 * GIB, 40 * GIB)
    tree.member_of("12:cpu,cpuacct:/docker/0a1b", "4:memory:/docker/0a1b", "0::/docker/0a1b")
    tree.mounts(
        "35 31 0:32 /docker/0a1b /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory",
        "36 31 0:33 /docker/0a1b /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct",
    )
    tree.v1("/", 6 * GIB, 8 * GIB, inactive=1 * GIB, active=2 * GIB)
    return tree


@pytest.fixture
def docker_v2_nested(tree: Tree) -> Tree:
    """The host's cgroup namespace: 16 GiB of its own, and 6 GiB for a parent that it shares with a neighbour."""
    tree.memory(64 * GIB, 40 * GIB).mounts(V2_MOUNT).member_of("0::/pod/main")
    tree.v2("/pod/main", 3 * GIB, 16 * GIB, inactive=512 * MIB, active=512 * MIB)
    tree.v2("/pod", 5 * GIB, 6 * GIB, inactive=512 * MIB, active=512 * MIB)
    return tree


@pytest.fixture
def wsl2(tree: Tree) -> Tree:
    """Half of a 32 GiB machine, a swap file, and one group without a limit: the root, which has no memory files."""
    tree.memory(16 * GIB, 10 * GIB, 4 * GIB, 4 * GIB).mounts(V2_MOUNT).member_of("0::/")
    return tree


@pytest.fixture
def runpod(tree: Tree) -> Tree:
    """A rented container: 62 GB of a 503 GiB host that others fill, in a namespace of its own."""
    tree.memory(503 * GIB, 120 * GIB).member_of("0::/").mounts(
        "1563 1562 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw"
    )
    tree.v2("/", 50_000_000_000, 62_000_000_000, inactive=4_000_000_000, active=1_000_000_000)
    return tree


class NvmlError(Exception):
    pass


class NvmlLibraryNotFoundError(NvmlError):
    pass


class NvmlDriverNotLoadedError(NvmlError):
    pass


class NvmlNotSupportedError(NvmlError):
    pass


class FakeNvml:
    """Stands for the module `pynvml`: a handle is the card's place on the PCI bus."""

    NVMLError = NvmlError
    NVMLError_LibraryNotFound = NvmlLibraryNotFoundError
    NVMLError_DriverNotLoaded = NvmlDriverNotLoadedError
    NVMLError_NotSupported = NvmlNotSupportedError
    nvmlMemory_v2 = 33554472  # noqa: N815
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    nvmlClocksThrottleReasonSwPowerCap = 4  # noqa: N815 - the names of the module
    nvmlClocksThrottleReasonHwSlowdown = 8  # noqa: N815
    nvmlClocksThrottleReasonSwThermalSlowdown = 32  # noqa: N815
    nvmlClocksThrottleReasonHwThermalSlowdown = 64  # noqa: N815
    nvmlClocksThrottleReasonHwPowerBrakeSlowdown = 128  # noqa: N815

    def __init__(self, *cards: dict[str, Any]) -> None:
        self.cards = [
            {
                "name": f"Card {i}",
                "uuid": f"GPU-{i}{i}{i}{i}-abcd",
                "used": 2 * GIB,
                "total": 24 * GIB,
                "cores": 1000,
                "clock": 1000,
                "reasons": 0,
                **card,
            }
            for i, card in enumerate(cards)
        ]
        self.slices: dict[str, dict[str, Any]] = {}
        self.init_error: Exception | None = None
        self.error: Exception | None = None
        self.inits = 0

    def _card(self, handle: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        found = self.slices[handle] if isinstance(handle, str) else self.cards[handle]
        if found.get("lost"):
            raise NvmlError("GPU is lost")
        return found

    def _told(self, handle: Any, key: str) -> Any:
        """What a test gave the card; an error that it gave is raised, and what it took away is not supported."""
        card = self._card(handle)
        if card.get(key) is None:
            raise NvmlNotSupportedError(key)
        if isinstance(card[key], Exception):
            raise card[key]
        return card[key]

    def nvmlInit(self) -> None:  # noqa: N802
        self.inits += 1
        if self.init_error is not None:
            raise self.init_error

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in self.slices:
            raise NvmlError("not found")
        return uuid

    def nvmlDeviceGetName(self, handle: Any) -> Any:  # noqa: N802
        return self._told(handle, "name")

    def nvmlDeviceGetUUID(self, handle: Any) -> Any:  # noqa: N802
        return self._told(handle, "uuid")

    def nvmlDeviceGetMemoryInfo(self, handle: Any, version: int | None = None) -> Any:  # noqa: N802
        used, total = self._told(handle, "used"), self._told(handle, "total")
        if version is None:
            return SimpleNamespace(used=used, total=total)
        assert version == self.nvmlMemory_v2
        reserved = self._told(handle, "reserved")  # in the older call a part of `used`
        return SimpleNamespace(used=used - reserved, total=total, reserved=reserved)

    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=self._told(handle, "busy"))

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> Any:  # noqa: N802
        return self._told(handle, "temperature")

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> Any:  # noqa: N802
        return self._told(handle, "milliwatts")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any) -> Any:  # noqa: N802
        return self._told(handle, "reasons")

    def nvmlDeviceGetNumGpuCores(self, handle: Any) -> Any:  # noqa: N802
        return self._told(handle, "cores")

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, kind: int) -> Any:  # noqa: N802
        return self._told(handle, "clock")


@pytest.fixture
def fake_nvml() -> type[FakeNvml]:
    return FakeNvml


@pytest.fixture
def ram() -> Ram:
    return Ram()


@pytest.fixture
def heard() -> Heard:
    return Heard()
