from __future__ import annotations

from resource_gate.monitor.cgroup import GroupMemory, memory_groups

GIB = 1024**3


def names(tree):
    return [group.source for group in memory_groups(tree.proc, tree.sys)]


def test_groups_are_listed_from_the_own_to_the_highest(bare_host):
    user = "cgroup v2 /user.slice"
    assert names(bare_host) == [
        f"{user}/user-1000.slice/session-2.scope",
        f"{user}/user-1000.slice",
        user,
    ]


def test_the_v2_root_has_no_memory_files_and_is_no_group(wsl2):
    assert names(wsl2) == []


def test_in_a_hybrid_setup_the_memory_controller_of_v1_counts(tree):
    tree.member_of("4:memory:/box", "0::/elsewhere").mounts(
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    )
    tree.v1("/box", GIB)
    tree.v1("/", GIB)
    assert names(tree) == ["cgroup v1 /box", "cgroup v1 /"]


def test_in_a_hybrid_setup_without_v1_memory_that_of_v2_counts(tree):
    tree.member_of("4:cpu:/box", "0::/box").mounts("41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw")
    tree.v2("/unified/box", GIB)
    assert names(tree) == ["cgroup v2 /box"]


def test_a_path_that_leads_out_of_the_namespace_means_the_mount_point(tree):
    tree.member_of("0::/../../other").mounts("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    tree.v2("/", GIB, 2 * GIB)
    assert names(tree) == ["cgroup v2 /"]


def test_a_path_that_is_not_mounted_means_the_mount_point(tree):
    tree.member_of("4:memory:/kubepods/pod1/c1").mounts(
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
    )
    tree.v1("/", GIB, 2 * GIB)
    assert names(tree) == ["cgroup v1 /"]


def test_a_v1_parent_without_hierarchy_does_not_bind_its_children(tree):
    tree.member_of("4:memory:/a/b").mounts("35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory")
    tree.v1("/a/b", GIB)
    (tree.v1("/a", GIB, 2 * GIB) / "memory.use_hierarchy").write_text("0\n")
    tree.v1("/", GIB)
    assert names(tree) == ["cgroup v1 /a/b"]


def test_a_mount_elsewhere_with_a_space_in_its_path_is_found(tree, tmp_path):
    folder = tmp_path / "my groups/box"
    folder.mkdir(parents=True)
    (folder / "memory.current").write_text("5\n")
    point = str(tmp_path / "my groups").replace(" ", "\\040")
    tree.member_of("0::/box").mounts(f"30 23 0:26 / {point} rw - cgroup2 cgroup2 rw")
    assert [g.folder for g in memory_groups(tree.proc, tree.sys)] == [folder]


def test_lines_that_are_not_mounts_are_passed_over(tree):
    tree.member_of("0::/").mounts("", "nonsense", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    tree.v2("/", GIB)
    assert names(tree) == ["cgroup v2 /"]


def test_max_and_the_huge_number_of_v1_mean_no_limit(tree):
    tree.member_of("0::/").mounts("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    tree.v2("/", GIB)
    [group] = memory_groups(tree.proc, tree.sys)
    assert GroupMemory(group).limit() is None
    tree.member_of("4:memory:/").mounts("35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory")
    tree.v1("/", GIB)
    [group] = memory_groups(tree.proc, tree.sys)
    assert GroupMemory(group).limit() is None


def test_a_working_set_is_never_below_zero(tree):
    tree.member_of("0::/").mounts("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    tree.v2("/", 1 * GIB, inactive=1 * GIB, active=1)
    [group] = memory_groups(tree.proc, tree.sys)
    assert GroupMemory(group).working_set() == 0
