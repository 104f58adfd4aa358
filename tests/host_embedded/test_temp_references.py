from __future__ import annotations

import time

from resource_gate.gate.host import NodeStart, Outcome, Verdict
from resource_gate.reclaim.host import Place


class Looks:
    """A listener that looks at the host while a prompt runs, and can hold the next one."""

    def __init__(self, host):
        self.host = host
        self.since: list[float | None] = []
        self.hold = False

    def may_start(self, job):
        return Verdict(not self.hold, again_in=0.05)

    def accepted(self, prompt) -> None: ...

    def removed(self, ids) -> None: ...

    def nothing_waits(self) -> None: ...

    def changed_graph(self, job_id: str) -> None:
        return None

    def retry(self, outcome: Outcome) -> bool:
        return False

    def put_back(self, job_id: str) -> None: ...

    def started(self, job) -> None: ...

    def before_node(self, node: NodeStart) -> None:
        self.since.append(self.host.running_since())

    def ended(self, outcome: Outcome) -> None: ...


def graph(text: str = "x"):
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 6, "batch_size": 1, "color": 1}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0], "note": text}},
    }


def test_a_running_prompt_tells_since_when(host, run):
    looks = Looks(host)
    host.attach(looks)
    before = time.time()
    run(graph())
    assert looks.since and all(since is not None and before - 1 <= since <= time.time() for since in looks.since)
    assert host.running_since() is None


def test_a_waiting_prompt_keeps_the_temp_files_that_it_names(host):
    looks = Looks(host)
    looks.hold = True
    host.attach(looks)
    host.submit(graph("mask.png [temp]"))
    assert host.temp_folder() / "mask.png" in host.referenced_files()
    host.queue.clear()
    assert host.referenced_files() == set()


def test_output_input_and_user_folders_are_never_cleaned(host):
    assert set(host.kept_folders()) == {host.folders.output, host.folders.input, host.folders.user}
    assert host.release_files({"a"}, Place.BETWEEN_PROMPTS) == {"a"}
