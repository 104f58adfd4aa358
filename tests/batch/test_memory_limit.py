from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resource_gate.batch.local.cgroups import Cgroups
from resource_gate.batch.local.memory_limit import MemoryLimiter

MIB = 1024**2
LIMIT = 150 * MIB


@pytest.fixture(params=["kernel", "watched"])
def limiter(request, kernel_groups, tmp_path):
    if request.param == "watched":
        return MemoryLimiter(Cgroups(tmp_path / "no-proc"), say=lambda line: None)
    if kernel_groups is None:
        pytest.skip("no control group can be made on this machine")
    return MemoryLimiter(kernel_groups)


def seen(child, size):
    """Let it end once so many bytes of it were seen, however busy the machine is."""
    give_up = time.monotonic() + 60
    while child.anonymous_peak <= size:
        assert time.monotonic() < give_up, "nobody looks at its memory"
        time.sleep(0.01)
    child.process.stdin.close()


def test_a_process_that_takes_more_than_its_limit_is_killed(limiter, hog):
    with limiter.start(hog(400, 30), LIMIT) as child:
        assert child.process.wait(30) == -9
    assert child.oom_kills == 1
    assert child.peak > LIMIT * 0.8


def test_the_kernel_lets_no_byte_above_the_limit_through(kernel_groups, hog):
    if kernel_groups is None:
        pytest.skip("no control group can be made on this machine")
    with MemoryLimiter(kernel_groups).start(hog(400, 30), LIMIT) as child:
        child.process.wait(30)
        assert child.kind.startswith("cgroup v")
        assert LIMIT * 0.9 < child.peak <= LIMIT


def test_a_process_below_its_limit_ends_by_itself_and_its_peak_is_known(limiter, hog):
    with limiter.start(hog(60, None), LIMIT, stdin=subprocess.PIPE) as child:
        seen(child, 60 * MIB)
        assert child.process.wait(30) == 0
    assert child.oom_kills == 0
    assert LIMIT > child.anonymous_peak > 60 * MIB
    assert child.peak > 60 * MIB


def test_a_child_of_the_process_counts_too(limiter, hog):
    shell = f'{" ".join(map(_quoted, hog(300, 30)))}; echo "its child ended with $?"; sleep 30'
    with limiter.start(["/bin/sh", "-c", shell], LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        # The kernel kills the child alone, and the shell tells; the watcher kills the whole tree, and the output ends.
        for line in child.process.stdout:
            if b"ended with 137" in line:
                break
        assert child.oom_kills == 1


def test_a_bystander_with_a_limit_of_its_own_lives_on(limiter, hog):
    with limiter.start(hog(20, 60), LIMIT, stdout=subprocess.PIPE) as bystander:
        assert bystander.process.stdout.readline() == b"full\n"
        with limiter.start(hog(400, 30), LIMIT) as child:
            assert child.process.wait(30) == -9
        assert bystander.process.poll() is None
        assert bystander.oom_kills == 0


def test_leaving_the_block_ends_what_still_runs_and_removes_the_group(limiter, hog, kernel_groups):
    with limiter.start(hog(10, 600), LIMIT, stdout=subprocess.PIPE) as child:
        child.process.stdout.readline()
        group = child._group()
        assert group is None or (group.processes() == [child.process.pid] and group.path.exists())
    assert child.process.returncode == -9
    assert child.oom_kills == 0
    assert group is None or not group.path.exists()


def test_without_a_limit_the_peak_is_still_measured(limiter, hog):
    with limiter.start(hog(200, None), None, stdin=subprocess.PIPE) as child:
        seen(child, 200 * MIB)
        assert child.process.wait(30) == 0
    assert child.anonymous_peak > 200 * MIB


def test_the_pid_is_the_commands_own_and_its_arguments_arrive_whole(limiter, tmp_path):
    told = tmp_path / "told"
    code = f"import os, sys; open({str(told)!r}, 'w').write(repr((os.getpid(), sys.argv[1:])))"
    with limiter.start([sys.executable, "-c", code, "two words", "$HOME", "'"], LIMIT) as child:
        assert child.process.wait(30) == 0
    assert told.read_text() == repr((child.process.pid, ["two words", "$HOME", "'"]))


def test_a_program_that_does_not_exist_is_an_error_and_leaves_nothing_behind(limiter):
    with pytest.raises(FileNotFoundError):
        limiter.start(["/no/such/program"], LIMIT)


def test_a_group_whose_maker_was_killed_is_swept_by_the_next_start(kernel_groups, alive):
    if kernel_groups is None:
        pytest.skip("no control group can be made on this machine")
    code = (
        "import os, subprocess\nfrom resource_gate.batch.local.memory_limit import start_limited\n"
        f"child = start_limited(['sleep', '600'], {LIMIT}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(child.process.pid, child._group().path, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid, path = killed.stdout.split()
    assert killed.returncode == -9
    assert Path(path).exists() and alive(int(pid))
    kernel_groups.open(None).remove()
    assert not Path(path).exists()
    assert not alive(int(pid))


def test_the_watcher_says_in_one_line_that_the_kernel_does_not_hold_the_limit(hog, tmp_path):
    said: list[str] = []
    limiter = MemoryLimiter(Cgroups(tmp_path), say=said.append)
    with limiter.start(hog(1), LIMIT) as child:
        child.process.wait(30)
        assert child.kind == "watched"
    assert len(said) == 1 and "\n" not in said[0]
    assert "no memory control group is mounted" in said[0]


def test_version_2_starts_the_child_inside_its_group(v2_tree):
    limiter = MemoryLimiter(Cgroups(v2_tree.proc, v2_tree.kernel()))
    with limiter.start(["true"], LIMIT) as child:
        assert child.process.wait(30) == 0
        assert child.kind == "cgroup v2"
        (group,) = v2_tree.own.glob("resource-gate-*")
        assert (group / "cgroup.procs").read_text() == f"{child.process.pid}\n"
        (group / "memory.peak").write_text("123456\n")
        (group / "memory.events").write_text("oom 2\noom_kill 2\n")
    assert (child.peak, child.oom_kills) == (123456, 2)
    assert not group.exists()


FAKE_SYSTEMD_RUN = """#!/bin/sh
# Does what `systemd-run --scope` does: notes its options, makes the scope's group, becomes the command in it.
if [ "$1" = --user ] && [ -e "{root}/no-user-manager" ]; then exit 1; fi
echo "$*" >> "{root}/options"
while [ "$1" != -- ]; do
    case "$1" in --unit=*) unit="${{1#--unit=}}";; esac
    shift
done
shift
if [ -n "$unit" ]; then
    mkdir -p "{top}/user.slice/$unit" "{proc}/$$"
    echo 777216 > "{top}/user.slice/$unit/memory.peak"
    echo "oom_kill 0" > "{top}/user.slice/$unit/memory.events"
    echo "anon 555" > "{top}/user.slice/$unit/memory.stat"
    echo "0::/user.slice/$unit" > "{proc}/$$/cgroup"
fi
exec "$@"
"""


@pytest.fixture
def systemd_run(v2_tree, tmp_path):
    """Make a systemd-run for a machine whose groups are not ours to make."""
    for controllers in v2_tree.top.rglob("cgroup.controllers"):
        controllers.write_text("cpu pids\n")
    program = tmp_path / "systemd-run"
    program.write_text(FAKE_SYSTEMD_RUN.format(root=tmp_path, top=v2_tree.top, proc=v2_tree.proc))
    program.chmod(0o755)
    return program


def test_systemd_holds_the_limit_where_no_group_can_be_made(v2_tree, systemd_run, tmp_path):
    limiter = MemoryLimiter(Cgroups(v2_tree.proc, v2_tree.kernel()), str(systemd_run), v2_tree.proc)
    with limiter.start(["cat"], LIMIT, stdin=subprocess.PIPE) as child:
        seen(child, 0)
        assert child.process.wait(30) == 0
    assert child.kind == "systemd scope"
    options = (tmp_path / "options").read_text().splitlines()[-1]
    assert f"--user --scope --quiet --collect -p MemoryMax={LIMIT} -p MemorySwapMax=0 --unit=" in options
    assert options.endswith(" -- cat")
    assert (child.peak, child.anonymous_peak, child.oom_kills) == (777216, 555, 0)


def test_a_kill_that_is_not_ours_counts_where_the_scope_took_its_figures_with_it(v2_tree, systemd_run):
    limiter = MemoryLimiter(Cgroups(v2_tree.proc, v2_tree.kernel()), str(systemd_run), v2_tree.proc)
    with limiter.start(["sleep", "60"], LIMIT) as child:
        os.kill(child.process.pid, 9)
        child.process.wait(30)
        assert child.oom_kills == 1
    with limiter.start(["sleep", "60"], LIMIT) as child:
        child.kill()
        assert child.oom_kills == 0


def test_a_systemd_that_cannot_make_scopes_is_passed_over(v2_tree, hog, tmp_path):
    said: list[str] = []
    limiter = MemoryLimiter(Cgroups(v2_tree.proc / "no"), "/bin/false", v2_tree.proc, said.append)
    with limiter.start(hog(400, 30), LIMIT) as child:
        assert child.process.wait(30) == -9
    assert child.kind == "watched" and len(said) == 1


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
