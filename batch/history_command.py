"""`resource-gate history`: what was learned of each family of workflows, and how right it was."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..gate.prediction.history import machine_id
from ..gate.prediction.history_file import FILE, HistoryFile, write_runs
from ..gate.prediction.view import view_of
from ..reclaim.action import human
from .client import Client, RequestRefused

SHOWN_KINDS = 5
"""Node kinds named of a family; the others are counted."""


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="as it is")
    parser.add_argument("--file", type=Path, metavar="FILE", help=f"read this {FILE} instead of asking a server")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write all runs there, one JSON line each")
    parser.add_argument("--forget", metavar="FAMILY", help="forget a family by the beginning of its id; '*' for all")
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 where it did what was asked, 1 where a file cannot be used or nothing was found to forget.
    """
    try:
        return _from_file(options) if options.file is not None else _from_server(options)
    except OSError as error:
        sys.stderr.write(f"resource-gate history: {error}; nothing was changed\n")
        return 1


def _from_server(options: argparse.Namespace) -> int:
    client = Client(options.server)
    if options.forget is not None:
        try:
            answer = client.call("POST", "/resource_gate/predictions/forget", {"family": options.forget})
        except RequestRefused as refused:
            if refused.status != 400:
                raise
            sys.stderr.write(f"resource-gate history: {refused.body['error']['fields'][0]['problem']}\n")
            return 1
        return _told_forgotten(options.forget, answer["runs"])
    if options.export is not None:
        import urllib.request

        with urllib.request.urlopen(f"{client.url}/resource_gate/predictions/runs", timeout=30) as answered:
            data = answered.read()
        options.export.write_bytes(data)
        sys.stdout.write(f"{data.count(10)} runs in {options.export}\n")
        return 0
    return _show(options, client.call("GET", "/resource_gate/predictions"))


def _from_file(options: argparse.Namespace) -> int:
    folder = options.file.parent if options.file.name == FILE else options.file
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"there is no {folder / FILE}")
    machine = machine_id()
    file = HistoryFile(folder, machine)
    file.load()
    if options.forget is not None:
        return _told_forgotten(options.forget, file.forget(options.forget))
    runs = file.all()
    if options.export is not None:
        write_runs(options.export, runs)
        sys.stdout.write(f"{len(runs)} runs in {options.export}\n")
        return 0
    machine = max((r.machine for r in runs), key=[r.machine for r in runs].count, default=machine)
    view = {"machine": machine, "file": str(file.path), "problem": None, "passed_over": file.passed_over}
    return _show(options, {**view, "families": view_of(runs, machine)})


def _told_forgotten(family: str, runs: int) -> int:
    sys.stdout.write(f"{runs} runs forgotten\n" if runs else f"no family begins with {family!r}; nothing was changed\n")
    return 0 if runs else 1


def _show(options: argparse.Namespace, view: Mapping[str, Any]) -> int:
    text = json.dumps(view) if options.json else "\n".join(history_lines(view))
    sys.stdout.write(text + "\n")
    return 0


def history_lines(view: Mapping[str, Any]) -> list[str]:
    """The view as lines of text."""
    lines = []
    for one in view["families"]:
        kinds = one["kinds"]
        named = ", ".join(kinds[:SHOWN_KINDS]) + (f" and {len(kinds) - SHOWN_KINDS} more" if len(kinds) > 5 else "")
        last = time.strftime("%Y-%m-%d %H:%M", time.localtime(one["last"]))
        lines.append(f"{one['family'][:8]}  {named}" + (f"  [{', '.join(one['models'])}]" if one["models"] else ""))
        ends = ", ".join(f"{count} {outcome}" for outcome, count in one["outcomes"].items())
        lines.append(f"          {one['runs']} runs ({ends}), the last {last}" + _elsewhere(one))
        peak = f"peak {human(one['peak_ram'])} RAM" + (f", {human(one['peak_vram'])} VRAM" if one["peak_vram"] else "")
        took = "" if one["seconds"] is None else f", {one['seconds']:.1f} s"
        cold = "" if one["seconds_cold"] is None else f" ({one['seconds_cold']:.1f} s with loading models)"
        lines.append(f"          {peak}{took}{cold}")
        lines += _spread(one)
        if one["checked"]:
            waste = "" if one["waste"] is None else f", {one['waste']:.0%} expected and not used"
            lines.append(
                f"          right so far: {one['under']:.0%} of {one['checked']} took more than expected{waste}, "
                f"{one['covered']:.0%} ended within the time told"
            )
        if one["nodes"]:
            grew = ", ".join(f"{kind} {human(size)}" for kind, size in one["nodes"].items())
            lines.append(f"          most by node: {grew}")
    if not lines:
        lines.append("Nothing was learned yet: run a prompt.")
    if view["passed_over"]:
        lines.append(f"! {view['passed_over']} lines of {view['file']} were damaged or absurd and are left out")
    if view["problem"]:
        lines.append(f"! {view['problem']}")
    return lines


def _spread(one: Mapping[str, Any]) -> list[str]:
    """How different the runs were; nothing where they were all of one size, or an older server does not tell."""
    spread = one.get("spread") or {}
    pixels, ram, seconds = (spread.get(name) for name in ("pixels", "ram", "seconds"))
    if not (pixels and ram and seconds) or pixels[0] == pixels[1]:
        return []
    return [
        f"          of {pixels[0] / 1e6:.1f} to {pixels[1] / 1e6:.1f} million pixels: "
        f"{human(ram[0])} to {human(ram[1])}, {seconds[0]:.1f} to {seconds[1]:.1f} s"
    ]


def _elsewhere(one: Mapping[str, Any]) -> str:
    count = one["of_other_machines"]
    return f"; {count} on other machines, which teach nothing here" if count else ""
