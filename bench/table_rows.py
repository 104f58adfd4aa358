"""The lines of the measured table: which bench, which target, and how its figures are told in one cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
Cell = Callable[[Figures], str]

MIB = 1024**2


@dataclass(frozen=True)
class Bench:
    """A command that writes its figures with `--json`; `minutes` it takes about, on two cores."""

    name: str
    command: str
    minutes: float


@dataclass(frozen=True)
class Row:
    """A line of the table; `measured` makes its cell of the bench's figures."""

    what: str
    target: str
    bench: str
    measured: Cell


BENCHES = (
    Bench("survive", "python bench/survive.py --limit-mb 2300", 2.5),
    Bench("survive_model", "python bench/survive.py --workflow model --clips 5", 5),
    Bench("reclaim", "python bench/reclaim.py --workflow model --loop-seconds 20", 6),
    Bench("throughput", "python bench/throughput.py --prompts 500", 1.5),
    Bench("throughput_picture", "python bench/throughput.py --prompts 200 --pairs 5 --picture 512", 4),
    Bench("throughput_large", "python bench/throughput.py --prompts 40 --pairs 7 --picture 2048", 4),
    Bench("journal", "python bench/journal.py", 0.5),
    Bench("sample", "python bench/sample.py", 3),
    Bench("react", "python bench/react.py", 4),
    Bench("chaos", "python bench/chaos.py", 6),
    Bench("chaos_embedded", "python bench/chaos.py --host embedded --jobs 1000 --kills 200 --frames 33", 30),
    Bench("oom_kill", "python bench/oom_kill.py", 1),
    Bench("live", "python bench/by_test.py tests/live tests/compat", 8),
    Bench("browser", "python bench/by_test.py tests/browser", 3),
    Bench("fleet", "python bench/fleet.py", 3),
    Bench("batch_runner", "python bench/batch_runner.py", 15),
    Bench("panel", "python bench/panel.py --comfyui", 10),
    Bench("predict", "python bench/predict.py", 0.5),
    Bench("predict_batch", "python bench/predict_batch.py", 6),
    Bench("conformance", "python bench/conformance.py", 10),
    Bench("start_up", "python bench/start_up.py", 1),
    Bench("requirements", "python bench/requirements.py", 10),
    Bench("load", "python bench/load.py", 6),
    Bench("branches", "python bench/branches.py", 6),
    Bench("mutation", "python bench/mutation.py", 35),
    Bench("fuzz", "python bench/fuzz.py --minutes 5", 5),
)
"""In the order in which they are run; each is a command of its own, so that anybody can run one alone."""


def clips(variant: str) -> Cell:
    def cell(figures: Figures) -> str:
        found = figures["variants"][variant]
        return f"{found['done']} of {found['total']}, {found['deaths']} deaths, {found['wall']:.1f} s"

    return cell


def against_unlimited(figures: Figures) -> str:
    gated, stock = figures["variants"]["resource gate"], figures["variants"]["stock, no limit"]
    return f"{gated['wall'] / stock['wall']:.2f} ×"


def freeings(figures: Figures, name: str) -> list[Figures]:
    found: list[Figures] = next(row for row in figures["rows"] if row["name"] == name)["freeings"]
    return found


def freed(name: str) -> Cell:
    """The share of the worse of a row's freeings."""

    def cell(figures: Figures) -> str:
        return f"{min((f['held'] - f['left']) / max(1, f['held']) for f in freeings(figures, name)):.0%}"

    return cell


def freed_in(figures: Figures) -> str:
    clip, all_of_it = freeings(figures, "ours, critical"), freeings(figures, "ours, emergency")
    return (
        f"{max(f['ms'] for f in clip):.0f} ms; with its models {max(f['ms'] for f in all_of_it):.0f} ms, slowest "
        f"answer meanwhile {max(f['stall'] for f in all_of_it):.0f} ms"
    )


def run_again(figures: Figures) -> str:
    def nodes(name: str) -> int:
        row = next(row for row in figures["rows"] if row["name"] == name)
        return len(row["changed"]["nodes"])

    return f"{nodes('ours, critical, (a) waits')} nodes; after ComfyUI's own `/free` {nodes('ComfyUI POST /free')}"


def loop(figures: Figures) -> str:
    times = figures["event_loop_ms"]
    return f"{times['stock']['p99']:.2f} ms without, {times['resource gate']['p99']:.2f} ms with"


def chaos(figures: Figures) -> str:
    after, calm = figures["chaos"], figures["undisturbed"]
    verdict = after["verdict"]
    return (
        f"{verdict['done']} done, {len(verdict['lost'])} lost, {len(verdict['twice'])} twice, {after['kills']} kills; "
        f"{after['wall']:.0f} s, undisturbed {calm['wall']:.0f} s"
    )


def oom_kill(figures: Figures) -> str:
    kills = sum(end["reason"] == "oom kill" for end in figures["exits"])
    aside = ", ".join(f"set aside after {job['deaths']} deaths at {job['node']}" for job in figures["quarantined"])
    return f"{figures['clips']} of {figures['jobs']} done; {kills} kernel kills; {aside or 'none set aside'}"


def counted(figures: Figures) -> str:
    return ", ".join(f"{figures[kind]} {kind}" for kind in ("passed", "failed", "skipped") if figures[kind])


def test(name: str, told: str = "") -> Cell:
    """How the test whose name begins so ended; `told` formats what it recorded."""

    def cell(figures: Figures) -> str:
        one = next(found for each, found in figures["tests"].items() if each.partition("::")[2].startswith(name))
        recorded = {key: float(value) for key, value in one.get("recorded", {}).items()}
        return "; ".join(filter(None, (told.format(**recorded) if recorded else "", one["outcome"])))

    return cell


def fleet(figures: Figures) -> str:
    two, one = figures["two servers"], figures["one server"]
    return (
        f"{two['done']} of {two['total']} done, {two['prompts_run']} prompts run, {sum(two['oom_kills'])} killed; "
        f"{two['wall'] / one['wall']:.2f} × the wall time of one"
    )


def foretold(trace: str) -> Cell:
    def cell(figures: Figures) -> str:
        ways = figures[trace]["ways"]
        ours, other = ways["ours"], ways["max × 1.1"]
        return (
            f"{ours['under']:.1%} under, {ours['waste']:.1%} waste "
            f"(1.1 × the largest so far: {other['under']:.1%}, {other['waste']:.1%})"
        )

    return cell


def by_prediction(part: str) -> Cell:
    def cell(figures: Figures) -> str:
        def told(name: str) -> str:
            one = figures[part][name]
            return (
                f"{one['done']} of {one['jobs']}, {one['deaths']} deaths, {one['wall']:.0f} s, "
                f"waits {one['waits']:.1f} s, needless frees {one['needless']} of {len(one['frees'])}"
            )

        return f"with: {told('prediction')}; thresholds alone: {told('thresholds')}"

    return cell


def adaptive(figures: Figures) -> str:
    one = figures["adaptive"]
    best = max(run["size"] for run in one["runs"] if run["ok"])
    after = f"within 10 % after {one['near_after']} runs" if one["near_after"] else "never within 10 %"
    return f"{best} of at most {one['largest']} frames, {after}, {one['deaths']} deaths"


def runner(figures: Figures) -> str:
    return (
        f"{figures['jobs_a_second']:.0f} jobs a second, {figures['runner_cpu_ms_a_job']:.1f} ms CPU a job, "
        f"{figures['rss_after_a_tenth']:.0f} MiB after a tenth, {figures['rss_at_the_end']:.0f} at the end"
    )


def heap(figures: Figures) -> str:
    hours = figures["heap_mb"]
    return f"{hours['1']:.1f} MB after one, {hours[max(hours, key=int)]:.1f} MB at the end"


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
    Row("freed of what can be, after a clip with models", "≥ 95 %", "reclaim", freed("ours, emergency")),
    Row("… by ComfyUI's own `POST /free`", "–", "reclaim", freed("ComfyUI POST /free")),
    Row("… how long the 2.3 GB of the clip take", "≤ 250 ms", "reclaim", freed_in),
    Row("… run again by a waiting prompt that changes one node of twelve", "what it needs", "reclaim", run_again),
    Row("event loop at rest, p99 of an answer", "as without", "reclaim", loop),
    Row("throughput of trivial prompts", "≥ 0.99 × stock", "throughput", lambda f: f"{f['ratio']:.3f} ×"),
    Row(
        "… of prompts that save one picture of 512 × 512",
        "–",
        "throughput_picture",
        lambda f: f"{f['ratio']:.3f} × ({f['spans_ms']['stock']:.0f} ms a prompt)",
    ),
    Row(
        "… of prompts that save one of 2048 × 2048",
        "≥ 0.99 × stock",
        "throughput_large",
        lambda f: f"{f['ratio']:.3f} × ({f['spans_ms']['stock']:.0f} ms a prompt)",
    ),
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
    Row("100 clips, kill −9 at 25 random moments", "100 done, 0 lost, 0 twice", "chaos", chaos),
    Row("1000 clips on the stand-in, 200 kills", "1000 done, 0 lost, 0 twice", "chaos_embedded", chaos),
    Row("10 clips and a job of twice the limit, supervised", "10 done, 1 set aside", "oom_kill", oom_kill),
    Row(
        "a prompt worker killed by a node: noticed, restarted, batch finished",
        "≤ 15 s",
        "live",
        test("test_a_worker_killed_by_a_node", "{seconds:.1f} s"),
    ),
    Row(
        "an error of memory in a VAE node, twice: one success for who waits",
        "success",
        "live",
        test("test_a_vae_that_runs_out_of_memory_twice"),
    ),
    Row(
        "disk full, with a kill in it; database locked",
        "nothing missing",
        "live",
        test("test_a_full_disk_and_a_lock_pass"),
    ),
    Row(
        "temp folder after 200 previews, of stock's", "≤ 30 %", "live", test("test_a_long_batch_leaves", "{share:.0%}")
    ),
    Row(
        "20 clips by `batch run`, 2 kills of the server, 3 cuts",
        "20 whole, none twice",
        "live",
        test("test_a_folder_of_clips_is_done_through_two_kills"),
    ),
    Row("all tests on a real ComfyUI", "all pass", "live", counted),
    Row("the panel in Chromium", "all pass", "browser", counted),
    Row("16 clips on two ComfyUIs, limits 3000 and 1300 MB", "all done, none killed", "fleet", fleet),
    Row("`batch run` of 10 000 jobs on the stand-in", "flat", "batch_runner", runner),
    Row("panel, the built file", "≤ 40 KB gzip", "panel", lambda f: f"{f['gzip_kb']:.1f} KB gzip"),
    Row(
        "panel, 10 events a second: shown, hidden",
        "≤ 1 % of a core, 0",
        "panel",
        lambda f: f"{f['shown']:.2%}, {f['hidden']:.2%}",
    ),
    Row("panel, tab opened → first reading", "–", "panel", lambda f: f"{f['tab_ms']:.0f} ms"),
    Row("panel, heap over 8 hours of events", "flat", "panel", heap),
    Row("peak RAM foretold, synthetic trace", "≤ 5 % under, ≤ 18 % waste", "predict", foretold("synthetic")),
    Row("… trace of a real ComfyUI, from nothing known", "≤ 5 % under, ≤ 18 % waste", "predict", foretold("ComfyUI")),
    Row(
        "job times within the interval told for 80 %",
        "80 %",
        "predict",
        lambda f: f"{f['ComfyUI']['cover']['jobs']:.0%}",
    ),
    Row("to foretell a prompt", "–", "predict", lambda f: f"{f['µs']['predict'] / 1000:.2f} ms"),
    Row("12 clips of two sizes under 2300 MB, by prediction", "0 deaths", "predict_batch", by_prediction("batch")),
    Row("the same where ComfyUI keeps what earlier prompts left", "0 deaths", "predict_batch", by_prediction("kept")),
    Row("*Adaptive Batch Size* under 2300 MB", "within 10 % in ≤ 6 runs, 0 deaths", "predict_batch", adaptive),
    Row("ComfyUI's own tests/execution, default cache included", "same counts", "conformance", counts),
    Row(
        "added to ComfyUI's start by its import",
        "≤ 50 ms",
        "start_up",
        lambda f: (
            f"{f['import_ms']:.0f} ms ({f['import_cpu_ms']:.0f} ms CPU); {f['start_ms']:.0f} ms with all that it starts"
        ),
    ),
    Row(
        "beside the requirements of 20 packs: versions moved",
        "0",
        "requirements",
        lambda f: f"{f['moved']} of {f['packs']} ({f['unresolved']} not resolvable by themselves)",
    ),
    Row(
        "50 clients, 10 000 prompts, 8 hours: growth",
        "none",
        "load",
        lambda f: (
            f"{f['mb_per_hour']:+.2f} MB an hour, {f['descriptors_grown']:+.0f} descriptors, "
            f"{f['threads_grown']:+.0f} threads"
        ),
    ),
    Row(
        "branches reached by unit tests",
        "≥ 95 %",
        "branches",
        lambda f: ", ".join(f"{room} {share:.1%}" for room, share in f.items()),
    ),
    Row("changes of levels, ladder, journal that tests notice", "≥ 80 %", "mutation", mutants),
    Row(
        "routes and files fed with anything",
        "nothing found",
        "fuzz",
        lambda f: f"{f['rounds']} rounds in {f['minutes']:.0f} minutes, {f['findings']} findings",
    ),
)
