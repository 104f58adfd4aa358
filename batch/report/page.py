"""The report's page: one file without scripts or anything from elsewhere, to be mailed and kept."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import PurePath
from string import Template
from typing import Any

from ..progress.wording import duration, size
from .plot import legend, memory_plot
from .style import STYLE
from .words import ENGLISH, Words, words_of

TOP = Template("""<!doctype html>
<html lang="$language"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title><style>$style</style></head><body>
<h1>$title</h1>
<div class="mute">$about</div>
<dl>$facts</dl>
""")
JOBS = Template("""
<h2>$jobs</h2>
<div class="scroll"><table><thead><tr>$head</tr></thead><tbody>
""")
BOTTOM = """</tbody></table></div>
</body></html>
"""
COLUMNS = (
    ("job", ""), ("state", ""), ("time", "n"), ("waited", "n"), ("tries", "n"), ("peak_ram", "n"),
    ("expected_ram", "n"), ("peak_vram", "n"), ("server", ""), ("more", ""),
)  # fmt: skip
"""Keys of what is written above, behind the number, and how it is set."""


def page(data: Mapping[str, Any], language: str = ENGLISH) -> str:
    """Return the page; whatever the data holds is escaped, and what it lacks is left empty.

    Args:
        data: what the journal's `report()` returns.
        language: of its own words; what servers have told stays as they told it.
    """
    return "".join(pieces(data, language))


def pieces(data: Mapping[str, Any], language: str = ENGLISH) -> Iterator[str]:
    """Yield the page piece by piece. Goes through the jobs and samples of `data` several times, and keeps none."""
    words = words_of(language)
    batch = data.get("batch") or {}
    title = escape(words["batch"].format(name=_name(batch.get("workflow")) or batch.get("id") or "").strip())
    facts = "".join(_fact(words[name], value, kind) for name, value, kind in _facts(batch, data, words))
    yield TOP.substitute(title=title, style=STYLE, about=_about(batch, words), facts=facts, language=words["language"])
    drawing = memory_plot(data, words)
    if drawing:
        yield f'<h2>{escape(words["memory"])}</h2>{_keys(data, words)}<div class="scroll">{drawing}</div>'
    yield from _failures(data, words)
    head = (("#", "n"), *((words[name], kind) for name, kind in COLUMNS))
    cells = "".join(f'<th class="{kind}" scope="col">{escape(name)}</th>' for name, kind in head)
    yield JOBS.substitute(jobs=escape(words["jobs"]), head=cells)
    for job in _jobs(data):
        yield f"{_row(job, words)}\n"
    yield BOTTOM


def _jobs(data: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return data.get("jobs") or ()


def _about(batch: Mapping[str, Any], words: Words) -> str:
    parts = []
    if batch.get("workflow"):
        parts.append(words["workflow"].format(file=batch["workflow"]))
    if batch.get("source"):
        parts.append(words["rows"].format(file=batch["source"]))
    servers = [str(server) for server in batch.get("servers") or ()]
    if servers:
        parts.append(words["servers"].format(names=", ".join(servers)))
    if batch.get("started_at"):
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(batch["started_at"])))
        parts.append(words["started"].format(time=began))
    return escape("; ".join(parts))


def _facts(batch: Mapping[str, Any], data: Mapping[str, Any], words: Words) -> Iterator[tuple[str, str, str]]:
    done, failed, total = (int(batch.get(key) or 0) for key in ("done", "failed", "total"))
    yield "done", words["done_of"].format(done=done, total=total), "ok" if done == total else ""
    yield "failed", str(failed), "bad" if failed else ""
    if total - done - failed:
        yield "not_done", str(total - done - failed), ""
    yield "retried", str(int(batch.get("retried") or 0)), ""
    if batch.get("started_at") and batch.get("ended_at"):
        yield "took", duration(float(batch["ended_at"]) - float(batch["started_at"])), ""
    times, peak = array("d"), 0.0
    for job in _jobs(data):
        peak = max(peak, float(job.get("peak_ram") or 0))
        if job.get("state") == "done" and job.get("seconds"):
            times.append(float(job["seconds"]))
    if times:
        ordered = sorted(times)
        yield "middle", duration(ordered[len(ordered) // 2]), ""
        yield "longest", duration(ordered[-1]), ""
    if peak:
        yield "highest_ram", size(peak), ""


def _fact(name: str, value: str, kind: str) -> str:
    return f'<div><dt>{escape(name)}</dt><dd class="{kind}">{escape(value)}</dd></div>'


def _keys(data: Mapping[str, Any], words: Words) -> str:
    lines = [
        f'<span class="key"><svg viewBox="0 0 22 10" aria-hidden="true"><line class="line l{number}" x1="0" x2="22"'
        f' y1="5" y2="5"/></svg>{escape(server or words["server"])}</span>'
        for server, number in legend(data)
    ]
    text = f'<span class="mute">{escape(words["memory_key"])}</span>'
    return f"<div>{''.join(lines)}{text}</div>"


def _failures(data: Mapping[str, Any], words: Words) -> Iterator[str]:
    failed = 0
    for job in _jobs(data):
        if job.get("state") == "failed":
            yield "" if failed else f'<h2 class="bad">{escape(words["failed"])}</h2><ul>'
            yield f"<li><b>{escape(str(job.get('name', '')))}</b>: {_error(job, words)}</li>"
            failed += 1
    yield "</ul>" if failed else ""


def _error(job: Mapping[str, Any], words: Words) -> str:
    node = f" {words['node'].format(node=job['node'])}" if job.get("node") else ""
    kind = f" [{job['error_kind']}]" if job.get("error_kind") else ""
    return escape(f"{job.get('error') or words['no_reason']}{node}{kind}")


def _row(job: Mapping[str, Any], words: Words) -> str:
    state = str(job.get("state", ""))
    kind = {"done": "ok", "failed": "bad"}.get(state, "mute")
    vram = job.get("peak_vram") or {}
    gpus = [size(float(peak)) if len(vram) == 1 else f"{name} {size(float(peak))}" for name, peak in vram.items()]
    more = [f'<span title="{escape(str(path))}">{escape(_name(path))}</span>' for path in job.get("outputs") or ()]
    if job.get("error"):
        more.append(f'<span class="bad">{_error(job, words)}</span>')
    more += [f'<span class="mute">{escape(str(action))}</span>' for action in job.get("actions") or ()]
    listed = f"<ul>{''.join(f'<li>{each}</li>' for each in more)}</ul>" if len(more) > 1 else "".join(more)
    cells = (
        ("n", str(int(job.get("index") or 0) + 1)),
        ("name", escape(str(job.get("name", "")))),
        (kind, escape(words.get(f"state.{state}", state))),
        ("n", _seconds(job.get("seconds"))),
        ("n", _seconds(job.get("wait"))),
        ("n", str(job.get("attempts") or "")),
        ("n", size(float(job["peak_ram"])) if job.get("peak_ram") else ""),
        ("n", size(float(job["expected_ram"])) if job.get("expected_ram") else ""),
        ("n", escape(", ".join(gpus))),
        ("", escape(str(job.get("server") or ""))),
        ("more", listed),
    )
    drawn = "".join(f'<td class="{name}">{text}</td>' for name, text in cells)
    return f"<tr>{drawn}</tr>"


def _seconds(value: Any) -> str:
    return duration(float(value)) if value else ""


def _name(path: Any) -> str:
    return PurePath(str(path).replace("\\", "/")).name if path else ""
