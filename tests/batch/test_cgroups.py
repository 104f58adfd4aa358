from __future__ import annotations

import os
from pathlib import Path

import pytest

from resource_gate.batch.local.cgroup_homes import find_homes
from resource_gate.batch.local.cgroups import Cgroup, Cgroups, CgroupUnavailable, owner_lives

LIMIT = 300 * 1024**2


def proc_with(folder: Path, mounts: str, groups: str) -> Path:
    (folder / "self").mkdir(parents=True)
    (folder / "self/mountinfo").write_text(mounts)
    (folder / "self/cgroup").write_text(groups)
    return folder


def test_our_own_group_is_found_in_version_1_beside_a_version_2_without_memory(tmp_path):
    memory, unified = tmp_path / "memory", tmp_path / "unified"
    (memory / "docker/abc").mkdir(parents=True)
    unified.mkdir()
    proc = proc_with(
        tmp_path / "proc",
        f"31 23 0:28 / /sys rw - tmpfs tmpfs rw\n32 31 0:41 / {unified} rw - cgroup2 cgroup2 rw\n"
        f"35 31 0:32 / {memory} rw - cgroup cgroup rw,memory\n36 31 0:33 / {tmp_path} rw - cgroup cgroup rw,cpu\n",
        "9:cpu:/elsewhere\n4:memory:/docker/abc\n0::/\n",
    )
    assert [(h.version, h.own, h.top) for h in find_homes(proc)] == [
        (1, memory / "docker/abc", memory),
        (2, unified, unified),
    ]


def test_a_mount_that_shows_only_our_part_of_the_hierarchy_is_the_top(tmp_path):
    top = tmp_path / "memory"
    (top / "inner").mkdir(parents=True)
    proc = proc_with(
        tmp_path / "proc",
        f"35 31 0:32 /docker/abc {top} rw - cgroup cgroup rw,memory\n",
        "4:memory:/docker/abc/inner\n",
    )
    assert [h.own for h in find_homes(proc)] == [top / "inner"]


@pytest.mark.parametrize("path", ["/not/there", "/../outside"])
def test_a_path_that_cannot_be_seen_from_here_means_the_top(tmp_path, path):
    top = tmp_path / "with space"
    top.mkdir()
    point = str(top).replace(" ", r"\040")
    proc = proc_with(tmp_path / "proc", f"35 31 0:32 / {point} rw - cgroup2 cgroup rw\n", f"0::{path}\n")
    assert [(h.own, h.top) for h in find_homes(proc)] == [(top, top)]


def test_without_a_proc_there_is_no_home(tmp_path):
    assert find_homes(tmp_path) == []
    with pytest.raises(CgroupUnavailable, match="no memory control group is mounted"):
        Cgroups(tmp_path).open(LIMIT)


def test_version_2_gets_the_limit_and_no_swap_below_our_own_group(v2_tree):
    (v2_tree.own / "cgroup.subtree_control").write_text("memory")
    group = Cgroups(v2_tree.proc, v2_tree.kernel()).open(LIMIT)
    assert (group.version, group.path.parent) == (2, v2_tree.own)
    assert (group.path / "memory.max").read_text() == str(LIMIT)
    assert (group.path / "memory.swap.max").read_text() == "0"
    assert (group.peak(), group.anonymous(), group.oom_kills()) == (4096, 1024, 0)


def test_version_2_has_the_controller_handed_down_where_it_is_not_yet(v2_tree):
    Cgroups(v2_tree.proc, v2_tree.kernel()).open(LIMIT)
    assert (v2_tree.own / "cgroup.subtree_control").read_text() == "+memory"


def test_version_2_goes_up_where_our_own_group_may_not_hand_down_because_we_live_in_it(v2_tree):
    refusing = v2_tree.own / "cgroup.subtree_control"
    refusing.unlink()
    refusing.mkdir()  # writing to it fails, as the kernel's EBUSY does
    group = Cgroups(v2_tree.proc, v2_tree.kernel()).open(LIMIT)
    assert group.path.parent == v2_tree.slice


def test_the_refusal_names_each_place_that_was_tried(v2_tree):
    for folder in (v2_tree.top, v2_tree.slice, v2_tree.own):
        (folder / "cgroup.controllers").write_text("cpu pids\n")
    with pytest.raises(CgroupUnavailable) as refused:
        Cgroups(v2_tree.proc, v2_tree.kernel()).open(LIMIT)
    assert str(refused.value).count("it has no memory controller") == 3


def test_a_group_that_may_be_made_but_not_entered_is_taken_away_again(v2_tree):
    def make(path: Path) -> None:
        v2_tree.make(path)
        (path / "cgroup.procs").unlink()
        (path / "cgroup.procs").mkdir()

    kernel = v2_tree.kernel().__class__(make, v2_tree.kernel().remove, v2_tree.kill)
    with pytest.raises(CgroupUnavailable, match="cannot enter"):
        Cgroups(v2_tree.proc, kernel).open(LIMIT)
    assert not list(v2_tree.top.rglob("resource-gate-*"))


def test_only_groups_of_dead_makers_are_swept_and_what_runs_in_them_is_killed(v2_tree):
    dead, ours, foreign = (v2_tree.own / n for n in ("resource-gate-77-1000-1", "resource-gate-88-2000-1", "other-77"))
    for path in (dead, ours, foreign):
        v2_tree.make(path)
    (dead / "cgroup.procs").write_text("4711\n4712\n")
    groups = Cgroups(v2_tree.proc, v2_tree.kernel(), lives=lambda pid, started: (pid, started) == (88, 2000))
    assert groups.sweep(v2_tree.own, 2) == [dead]
    assert v2_tree.killed == [4711, 4712]
    assert ours.exists() and foreign.exists() and not dead.exists()


def test_a_pid_that_was_given_to_another_process_is_not_the_maker():
    import psutil

    started = int(psutil.Process().create_time())
    assert owner_lives(os.getpid(), started)
    assert not owner_lives(os.getpid(), started - 100)


def test_version_1_reads_the_hierarchical_figures(tmp_path):
    (tmp_path / "memory.max_usage_in_bytes").write_text("2411724800\n")
    (tmp_path / "memory.stat").write_text("rss 5\ntotal_cache 9\ntotal_rss 7\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    group = Cgroup(tmp_path, 1)
    assert (group.peak(), group.anonymous(), group.oom_kills()) == (2411724800, 7, 3)


def test_a_kernel_without_a_peak_file_tells_none(tmp_path):
    assert Cgroup(tmp_path, 2).peak() is None
