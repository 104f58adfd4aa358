"""A sample as Prometheus text, version 0.0.4: base units, HELP and TYPE for each name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from .readings import DiskReading, GpuReading, Sample

PREFIX = "resource_gate_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """One metric: its name without the prefix, what it is, and its values by labels.

    `kind` is `gauge` or `counter`; a counter's name ends in `_total`.
    """

    name: str
    help: str
    values: tuple[tuple[Mapping[str, str], float], ...] = ()
    kind: str = "gauge"


def gauge(name: str, text: str, value: float | None, **labels: str) -> Metric:
    """Make a gauge of one value; of none where the value is None."""
    return Metric(name, text, () if value is None else ((labels, float(value)),))


def counter(name: str, text: str, value: float | None, **labels: str) -> Metric:
    """Make a counter likewise."""
    return Metric(name, text, () if value is None else ((labels, float(value)),), "counter")


def prometheus(sample: Sample | None, extra: Iterable[Metric] = ()) -> str:
    """Write a sample and what others add; metrics without a value are left out.

    Args:
        sample: the newest; None before the first.
        extra: further metrics, each with a name of its own.
    """
    of_sample = () if sample is None else of(sample)
    return "".join(_written(metric) for metric in (*of_sample, *extra) if metric.values)


def of(sample: Sample) -> Iterator[Metric]:
    """List a sample's metrics."""
    yield Metric(
        "level",
        "How near each resource is to its limit: 0 normal, 1 warning, 2 critical, 3 emergency.",
        tuple(({"resource": name}, float(level)) for name, level in sample.levels.items()),
    )
    if ram := sample.ram:
        yield gauge("ram_used_bytes", "RAM in use, without page cache.", ram.used, source=ram.source)
        yield gauge("ram_limit_bytes", "The tightest limit on RAM.", ram.limit, source=ram.source)
        yield gauge("ram_fill_bytes_per_second", "Rise of RAM in use.", sample.fill_rate)
    yield from _of_process(sample)
    yield from _of_gpus(sample.gpus)
    yield from _of_disks(sample.disks)
    if temp := sample.temp:
        yield gauge("temp_bytes", "Size of the temp folder.", temp.bytes)
        yield gauge("temp_files", "Files in the temp folder.", temp.files)
        yield gauge("temp_growth_bytes_per_second", "Growth of the temp folder.", temp.growth)
    if pressure := sample.pressure:
        yield gauge("memory_some_stall_ratio", "Share of 10 s in which a task waited.", pressure.some)
        yield gauge("memory_full_stall_ratio", "Share of 10 s in which all tasks waited.", pressure.full)
        yield counter("memory_stall_seconds_total", "Time in which a task waited.", pressure.stalled)
        yield gauge("swap_used_bytes", "Swap in use.", pressure.swap_used)
        yield gauge("swap_size_bytes", "Swap there is.", pressure.swap_total)
        yield counter("oom_kills_total", "Processes the kernel killed for memory.", pressure.oom_kills)
    yield gauge("sample_interval_seconds", "Seconds until the next sample.", sample.interval)
    yield gauge("sample_late_seconds", "Seconds the sample came after it was due.", sample.late)
    yield gauge("sample_timestamp_seconds", "When the sample was taken.", sample.time)
    yield Metric(
        "reader_dropped",
        "1 for a reader that fails and is left out.",
        tuple(({"reader": name}, 1.0) for name in sample.problems),
    )


def _of_process(sample: Sample) -> Iterator[Metric]:
    if process := sample.process:
        yield gauge("process_resident_bytes", "Resident memory of ComfyUI.", process.rss)
        yield gauge("process_peak_resident_bytes", "Highest resident memory so far.", process.peak)
        yield gauge("process_anonymous_bytes", "Anonymous part of it.", process.anonymous)
        yield gauge("process_heap_slack_bytes", "Free bytes that the heap holds back.", process.heap_slack)
    if cpu := sample.cpu:
        yield gauge("cpu_busy_ratio", "Busy share of all cores.", cpu.fraction)
        yield gauge("cpu_cores", "Cores of the machine.", cpu.cores)
        yield gauge("process_busy_cores", "Cores that ComfyUI keeps busy.", cpu.process_cores)
        yield gauge("load1", "Mean run queue of the last minute.", cpu.load[0] if cpu.load else None)


def _of_gpus(gpus: tuple[GpuReading, ...]) -> Iterator[Metric]:
    def over(name: str, text: str, told: Iterable[tuple[GpuReading, float | None]]) -> Metric:
        values = (({"gpu": str(g.index), "name": g.name}, v) for g, v in told)
        return Metric(name, text, tuple((labels, float(v)) for labels, v in values if v is not None))

    yield over("gpu_memory_used_bytes", "Memory of the card in use.", ((g, g.used) for g in gpus))
    yield over("gpu_memory_size_bytes", "Memory of the card.", ((g, g.total) for g in gpus))
    yield over("gpu_memory_freeable_bytes", "What ComfyUI could free.", ((g, g.freeable) for g in gpus))
    yield over("gpu_memory_evictable_bytes", "What gives way by itself.", ((g, g.evictable) for g in gpus))
    yield over("gpu_busy_ratio", "Share of time in which a kernel ran.", ((g, g.utilization) for g in gpus))
    yield over("gpu_temperature_celsius", "Temperature of the card.", ((g, g.temperature) for g in gpus))
    yield over("gpu_power_watts", "Power the card draws.", ((g, g.power) for g in gpus))
    held_back = ((g, float(g.throttled is not None)) for g in gpus)
    yield over("gpu_throttled", "1 where the card's clocks are held down.", held_back)


def _of_disks(disks: tuple[DiskReading, ...]) -> Iterator[Metric]:
    def over(name: str, text: str, told: Iterable[tuple[DiskReading, float | None]]) -> Metric:
        values = (({"path": d.path, "roles": ",".join(d.roles)}, v) for d, v in told)
        return Metric(name, text, tuple((labels, float(v)) for labels, v in values if v is not None))

    yield over("disk_free_bytes", "Bytes free on the disk.", ((d, d.free) for d in disks))
    yield over("disk_size_bytes", "Size of the disk.", ((d, d.total) for d in disks))
    yield over("disk_full_in_seconds", "Until it is full at the present growth.", ((d, d.full_in) for d in disks))


def _written(metric: Metric) -> str:
    name = PREFIX + metric.name
    lines = [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
    for labels, value in metric.values:
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inner}}} {_number(float(value))}" if inner else f"{name} {_number(float(value))}")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
