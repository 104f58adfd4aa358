"""One table of target, measured and command, in README.md between its two markers; its benches are run here.

    python bench/table.py                      # run all, then write the table
    python bench/table.py --run sample react   # run these again, keep the other figures
    python bench/table.py --from results.json  # write the table of these figures, run nothing
    python bench/table.py --check              # is the README's table that of the stored figures?

Figures lie in bench/results.json, each with the day and the machine it was measured on. A bench that cannot run (no
ComfyUI, no cgroup) keeps its last figures, and that is said.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- measured: written by make bench -->", "<!-- end of measured -->"

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """A command that writes its figures with `--json`."""

    name: str
    command: str


@dataclass(frozen=True)
class Row:
    """A line of the table; `measured` makes its cell of the bench's figures."""

    what: str
    target: str
    bench: str
    measured: Callable[[Figures], str]


BENCHES = (
    Bench("survive", "python bench/survive.py --limit-mb 2300"),
    Bench("survive_model", "python bench/survive.py --workflow model --clips 5"),
    Bench("reclaim", "python bench/reclaim.py --workflow model --loop-seconds 0"),
    Bench("throughput", "python bench/throughput.py"),
    Bench("journal", "python bench/journal.py"),
    Bench("sample", "python bench/sample.py"),
    Bench("react", "python bench/react.py"),
    Bench("start_up", "python bench/start_up.py"),
    Bench("load", "python bench/load.py"),
    Bench("conformance", "python bench/conformance.py"),
    Bench("requirements", "python bench/requirements.py"),
    Bench("mutation", "python bench/mutation.py"),
)
"""In the order in which they are run; each is a command of its own, so that anybody can run one alone."""


def clips(variant: str) -> Callable[[Figures], str]:
    def cell(figures: Figures) -> str:
        found = figures["variants"][variant]
        return f"{found['done']} of {found['total']}, {found['deaths']} deaths, {found['wall']:.1f} s"

    return cell


def against_unlimited(figures: Figures) -> str:
    gated, stock = figures["variants"]["resource gate"], figures["variants"].get("stock, no limit")
    return f"{gated['wall'] / stock['wall']:.2f} ×" if stock else "not compared"


def freed(figures: Figures) -> str:
    row = next(r for r in figures["rows"] if r["name"] == "resource gate")
    worst = min(row["freeings"], key=lambda f: f["freed"] / max(1, f["held"]))
    return f"{worst['freed'] / max(1, worst['held']):.0%}"


def mutants(figures: Figures) -> str:
    return ", ".join(f"{name} {found['killed'] / max(1, found['mutants']):.0%}" for name, found in figures.items())


def counts(figures: Figures) -> str:
    def told(found: Mapping[str, int]) -> str:
        return ", ".join(f"{found[k]} {k}" for k in ("passed", "failed", "error", "skipped") if found.get(k))

    same = "the same" if not figures["differ"] else f"{figures['differ']} differ"
    return f"without: {told(figures['without'])}; with: {told(figures['with'])}; {same}"


ROWS = (
    Row("10 clips, memory limit 2300 MB: stock", "–", "survive", clips("stock")),
    Row("the same with Resource Gate", "10 of 10, 0 deaths", "survive", clips("resource gate")),
    Row("… against stock without a limit, wall time", "≤ 1.10 ×", "survive", against_unlimited),
    Row("5 clips with models, a limit below one clip's own peak: stock", "–", "survive_model", clips("stock")),
    Row("the same with Resource Gate", "5 of 5, 0 deaths", "survive_model", clips("resource gate")),
    Row("freed of what can be, after a clip with models", "≥ 95 %", "reclaim", freed),
    Row("throughput of trivial prompts", "≥ 0.99 × stock", "throughput", lambda f: f"{f['ratio']:.3f} ×"),
    Row("added to a prompt", "≤ 1 ms", "throughput", lambda f: f"{f['added_ms']:.2f} ms"),
    Row(
        "journal, a prompt of 20 nodes and 2 KB",
        "≤ 1 ms",
        "journal",
        lambda f: f"{f['2_kb']['prompt_us'] / 1000:.2f} ms",
    ),
    Row("at rest", "≤ 0.05 CPU s a minute", "sample", lambda f: f"{f['cpu_s_per_min']['rest']:.3f} CPU s a minute"),
    Row("a full sample", "–", "sample", lambda f: f"{f['call_us']['full sample']:.0f} µs"),
    Row(
        "85 % crossed at 500 MB/s → the sample that acts",
        "≤ 150 ms",
        "react",
        lambda f: f"{f['p50_ms']:.0f} ms, slowest of {f['runs']:.0f}: {f['most_ms']:.0f} ms",
    ),
    Row("added to ComfyUI's start by its import", "≤ 50 ms", "start_up", lambda f: f"{f['import_ms']:.0f} ms"),
    Row(
        "50 clients, 10 000 prompts, 8 hours: growth",
        "none",
        "load",
        lambda f: (
            f"{f['mb_per_hour']:+.2f} MB an hour, {f['descriptors_grown']:+.0f} descriptors, "
            f"{f['threads_grown']:+.0f} threads"
        ),
    ),
    Row("ComfyUI's own tests/execution, default cache included", "same counts", "conformance", counts),
    Row(
        "beside the requirements of 20 packs: versions moved",
        "0",
        "requirements",
        lambda f: f"{f['moved']} of {f['packs']} ({f['unresolved']} not resolvable by themselves)",
    ),
    Row("changes of levels, ladder, journal that tests notice", "≥ 80 %", "mutation", mutants),
)


def run(bench: Bench) -> Figures | None:
    """Run it and return what it wrote; None where it wrote nothing."""
    print(f"$ {bench.command}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        command = [sys.executable, *shlex.split(bench.command)[1:], "--json", str(out)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not out.is_file():
            print(f"{bench.name} wrote no figures (exit code {code}); its last ones stay", flush=True)
            return None
        figures: Figures = json.loads(out.read_text("utf-8"))
        return figures


def machine() -> str:
    """What it was measured on, as far as it matters."""
    return f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, {platform.system()}"


def table(results: Mapping[str, Any], rows: Sequence[Row] = ROWS) -> str:
    """The table in Markdown; a row without figures says so."""
    commands = {bench.name: bench.command for bench in BENCHES}
    lines = ["| what | target | measured | command |", "|---|---|---|---|"]
    for row in rows:
        result = results.get(row.bench)
        try:
            cell = row.measured(result["figures"]) if result else "not measured"
        except (KeyError, StopIteration, TypeError) as error:
            cell = f"not told by the figures ({error})"
        lines.append(f"| {row.what} | {row.target} | {cell} | `{commands[row.bench]}` |")
    seen = sorted({f"{r['machine']}, {r['day']}" for r in results.values()})
    return "\n".join([*lines, "", f"Measured on {'; '.join(seen)}." if seen else "Nothing is measured yet."])


def with_table(text: str, made: str) -> str | None:
    """The README with the table between its markers; None where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}" if begin and end else None


def main() -> int:
    names = [bench.name for bench in BENCHES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="*", choices=names, metavar="NAME", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--from", dest="given", type=Path, metavar="FILE", help="figures to tell of; runs nothing")
    parser.add_argument("--check", action="store_true", help="fail if the README's table is another")
    options = parser.parse_args()
    path = options.given or RESULTS
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if options.given is None and not options.check:
        for bench in BENCHES:
            if options.run is None or bench.name in options.run:
                figures = run(bench)
                if figures is not None:
                    day = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
                    results[bench.name] = {"day": day, "machine": machine(), "figures": figures}
                    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")
    made = table(results)
    text = README.read_text("utf-8")
    written = with_table(text, made)
    if written is None:
        print(f"README.md has no place for the table (the lines {BEGIN} and {END}); here it is:\n\n{made}")
        return 1 if options.check else 0
    if options.check:
        return 0 if written == text else 1
    README.write_text(written, "utf-8")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
