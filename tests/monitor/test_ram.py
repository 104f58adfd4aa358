from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from resource_gate.monitor.ram import RamReader
from resource_gate.monitor.readings import MemoryReading

GIB = 1024**3
MIB = 1024**2


def test_a_bare_host_tells_its_own_memory(bare_host):
    reading = bare_host.reader().read()
    assert (reading.used, reading.limit, reading.source) == (24 * GIB, 64 * GIB, "host")


def test_wsl2_tells_the_virtual_machines_memory(wsl2):
    reading = wsl2.reader().read()
    assert (reading.used, reading.limit, reading.source) == (6 * GIB, 16 * GIB, "host")


def test_docker_v1_tells_the_containers_limit_where_the_mount_hides_the_path(docker_v1):
    reading = docker_v1.reader().read()
    assert reading == MemoryReading(3 * GIB, 8 * GIB, "cgroup v1 /docker/0a1b")


def test_neither_active_nor_inactive_file_pages_count_as_used(docker_v1):
    docker_v1.v1("/", 8 * GIB, 8 * GIB, inactive=3 * GIB, active=5 * GIB)
    assert docker_v1.reader().read().used == 0


def test_a_limit_of_the_parent_cgroup_wins_when_tighter(docker_v2_nested):
    reading = docker_v2_nested.reader().read()
    assert reading == MemoryReading(4 * GIB, 6 * GIB, "cgroup v2 /pod")


def test_the_least_headroom_wins_over_the_smallest_limit(docker_v2_nested):
    docker_v2_nested.v2("/pod/main", 1 * GIB, 5 * GIB)
    docker_v2_nested.v2("/pod", 7 * GIB, 8 * GIB)
    assert docker_v2_nested.reader().read() == MemoryReading(7 * GIB, 8 * GIB, "cgroup v2 /pod")


def test_a_full_host_wins_over_a_roomy_container(docker_v1):
    docker_v1.memory(64 * GIB, 1 * GIB)
    assert docker_v1.reader().read().source == "host"


def test_a_rented_container_tells_its_own_limit_not_the_big_hosts(runpod):
    reading = runpod.reader().read()
    assert reading == MemoryReading(45_000_000_000, 62_000_000_000, "cgroup v2 /")


def test_memory_high_counts_as_a_limit(docker_v2_nested):
    docker_v2_nested.v2("/pod/main", 3 * GIB, 16 * GIB, high=4 * GIB)
    assert docker_v2_nested.reader().read() == MemoryReading(3 * GIB, 4 * GIB, "cgroup v2 /pod/main")


def test_a_limit_of_a_parent_that_a_v1_container_cannot_see_counts(docker_v1):
    docker_v1.v1("/", 6 * GIB, above=7 * GIB)
    assert docker_v1.reader().read() == MemoryReading(6 * GIB, 7 * GIB, "cgroup v1 /docker/0a1b")


def test_a_limit_set_by_hand_wins_when_tighter(docker_v1):
    reader = docker_v1.reader(hand_limit=5 * GIB)
    assert reader.read() == MemoryReading(3 * GIB, 5 * GIB, "settings")


def test_a_limit_set_by_hand_above_the_containers_changes_nothing(docker_v1):
    assert docker_v1.reader(hand_limit=32 * GIB).read().source == "cgroup v1 /docker/0a1b"


def test_a_limit_set_by_hand_later_is_taken_at_the_next_read(docker_v1):
    reader = docker_v1.reader()
    reader.hand_limit = 4 * GIB
    assert reader.read().limit == 4 * GIB


def test_use_is_read_anew_each_time(docker_v1, clock):
    reader = docker_v1.reader(clock)
    docker_v1.v1("/", 7 * GIB, 8 * GIB)
    assert reader.read().used == 7 * GIB


def test_a_limit_changed_at_run_time_is_seen_after_a_second(docker_v1, clock):
    reader = docker_v1.reader(clock)
    docker_v1.v1("/", 3 * GIB, 4 * GIB)
    assert reader.read().limit == 8 * GIB
    clock.pass_(1.1)
    assert reader.read().limit == 4 * GIB


def test_a_process_moved_to_another_group_is_found_there_after_a_minute(docker_v2_nested, clock):
    reader = docker_v2_nested.reader(clock)
    docker_v2_nested.v2("/small", 1 * GIB, 2 * GIB)
    docker_v2_nested.member_of("0::/small")
    assert reader.read().source == "cgroup v2 /pod"
    clock.pass_(61)
    assert reader.read().source == "cgroup v2 /small"


def test_a_group_that_no_longer_tells_its_use_is_left_out(docker_v2_nested, clock):
    """The kernel says ENODEV once a group is removed; reading a folder fails likewise."""
    folder = docker_v2_nested.v2("/pod", 5 * GIB, 6 * GIB)
    (folder / "memory.current").unlink()
    (folder / "memory.current").mkdir()
    reader = docker_v2_nested.reader(clock)
    assert reader.read().source == "cgroup v2 /pod/main"


def test_a_group_that_no_longer_tells_its_limit_is_looked_up_again_at_the_next_read(docker_v1, clock):
    folder = docker_v1.v1("/", 3 * GIB, 8 * GIB)
    (folder / "memory.limit_in_bytes").unlink()
    (folder / "memory.limit_in_bytes").mkdir()
    reader = docker_v1.reader(clock)
    assert reader.read().source == "host"
    (folder / "memory.limit_in_bytes").rmdir()
    docker_v1.v1("/", 3 * GIB, 8 * GIB)
    assert reader.read().source == "cgroup v1 /docker/0a1b"


def test_without_cgroups_the_host_counts(docker_v1):
    assert RamReader(docker_v1.proc, None).read().source == "host"


def test_a_kernel_without_cgroup_files_leaves_the_host(tree):
    tree.memory(8 * GIB, 2 * GIB)
    assert tree.reader().read() == MemoryReading(6 * GIB, 8 * GIB, "host")


def test_a_machine_that_tells_nothing_is_an_error(tree):
    with pytest.raises(OSError):
        tree.reader()


def test_meminfo_without_a_total_is_an_error(tree):
    (tree.proc / "meminfo").write_text("MemFree: 5 kB\n")
    with pytest.raises(ValueError, match="MemTotal"):
        tree.reader().read()


def test_old_kernels_without_mem_available_count_free_buffers_and_cache(tree):
    (tree.proc / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n")
    assert tree.reader().read().used == 65 * 1024


def test_several_threads_read_while_the_hierarchy_is_looked_up_again(docker_v2_nested, clock):
    reader = docker_v2_nested.reader(clock)
    wrong: list[object] = []

    def read_often() -> None:
        for _ in range(300):
            reading = reader.read()
            if reading != MemoryReading(4 * GIB, 6 * GIB, "cgroup v2 /pod"):
                wrong.append(reading)

    threads = [threading.Thread(target=read_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        clock.pass_(61)
    for thread in threads:
        thread.join()
    assert wrong == []


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_files_of_a_group_close_when_nothing_reads_them_any_longer(docker_v2_nested, clock):
    reader = docker_v2_nested.reader(clock)
    before = open_files()
    for _ in range(50):
        clock.pass_(61)
        reader.read()
    assert open_files() <= before + 2


def test_a_removed_tree_still_leaves_the_reader_the_files_it_holds(docker_v1, clock):
    reader = docker_v1.reader(clock)
    shutil.rmtree(docker_v1.sys)
    assert reader.read().source == "cgroup v1 /docker/0a1b"
    clock.pass_(61)
    assert reader.read().source == "host"
