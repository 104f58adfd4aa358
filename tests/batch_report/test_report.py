from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from resource_gate.batch.report.page import page
from resource_gate.batch.report.plot import MAX_LANES, WIDTH, memory_plot
from resource_gate.batch.report.words import LOCALES, users_language, words_of
from resource_gate.batch.report.write import write_report

Report = dict[str, Any]
VOID = {"meta", "link", "br", "img"}


class Reader(HTMLParser):
    """Reads a page: its tags in balance, its cells row by row, all addresses it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.rows[-1][-1] += data


def read(report: Report) -> Reader:
    reader = Reader()
    reader.feed(page(report))
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_from_elsewhere(report: Report) -> None:
    reader = read(report)
    assert reader.loads == []
    assert not reader.tags & {"script", "link", "img", "iframe"}
    assert "url(" not in page(report)


def test_there_is_a_row_for_each_job_with_what_became_of_it(report: Report) -> None:
    rows = read(report).rows[1:]
    assert len(rows) == 12
    assert rows[3][:7] == ["4", "clip_04", "done", "57 s", "42 s", "3", "12.0 GB"]
    assert rows[3][7:10] == ["13.0 GB", "7.0 GB", "http://10.0.0.7:8188"]
    assert "clip_04.mp4" in rows[3][10] and "dropped 3 outputs" in rows[3][10]
    assert rows[11][2:6] == ["planned", "", "", "1"]
    assert rows[0][7] == "", "nothing was known of the first"


def test_a_report_that_an_older_version_kept_is_drawn_without_what_it_lacks(report: Report) -> None:
    for job in report["jobs"]:
        del job["expected_ram"]
    assert {row[7] for row in read(report).rows[1:]} == {""}


def test_what_the_data_holds_is_text_and_never_markup(report: Report) -> None:
    rows = read(report).rows[1:]
    assert rows[7][10] == "<b>CUDA</b> out of memory & no way out (node 12 KSampler) [memory]"
    report["jobs"][0]["name"] = '"><script>alert(1)</script>'
    report["jobs"][0]["server"] = report["samples"][0]["server"] = "<img src=x>"
    report["jobs"][0]["outputs"] = ['/x/" onmouseover="1.mp4']
    reader = read(report)
    assert not reader.tags & {"script", "img"}
    assert "onmouseover" not in reader.attributes
    ElementTree.fromstring(memory_plot(report, words_of("en")))


def test_failures_stand_first(report: Report) -> None:
    text = page(report)
    assert text.index("Failed</h2>") < text.index("Jobs</h2>")


def test_the_plot_has_a_line_a_server_the_tiers_and_a_bar_a_job(report: Report) -> None:
    drawing = ElementTree.fromstring(memory_plot(report, words_of("en")))
    kinds = [(each.tag, (each.get("class") or "").split(" ")[0]) for each in drawing.iter()]
    assert kinds.count(("polyline", "line")) == 2
    assert kinds.count(("line", "tier")) == 3
    assert kinds.count(("rect", "job")) == 11
    assert drawing.findtext(".//rect/title") == "clip_01: done, 55.0 s"


def test_everything_that_is_drawn_lies_in_the_drawing(report: Report) -> None:
    report["samples"] += [{"time": report["batch"]["started_at"] + 5, "server": "x", "fraction": 1.7}]
    drawing = ElementTree.fromstring(memory_plot(report, words_of("en")))
    height = float((drawing.get("viewBox") or "").split()[3])
    for rect in drawing.iter("rect"):
        assert 0 <= float(rect.get("x", "")) <= float(rect.get("x", "")) + float(rect.get("width", "")) <= WIDTH
        assert 0 <= float(rect.get("y", "")) < height
    for line in drawing.iter("polyline"):
        for point in line.get("points", "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= height


def test_many_jobs_at_a_time_take_no_more_than_their_lanes(report: Report) -> None:
    start = report["batch"]["started_at"]
    report["jobs"] = [{**report["jobs"][0], "index": n, "started_at": start, "ended_at": start + 9} for n in range(99)]
    drawing = ElementTree.fromstring(memory_plot(report, words_of("en")))
    assert len(list(drawing.iter("rect"))) == MAX_LANES


@pytest.mark.parametrize("lacking", ["samples", "jobs", "tiers", "batch"])
def test_a_report_that_lacks_a_part_is_still_a_page(lacking: str, report: Report) -> None:
    del report[lacking]
    assert "<h1>" in page(report)
    read(report)


def test_a_batch_that_never_began_has_no_plot() -> None:
    assert memory_plot({"jobs": [], "samples": []}, words_of("en")) == ""
    assert "<svg" not in page({})


def test_both_files_are_written_whole(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "out" / ".resource-gate"
    for _ in range(2):
        as_json, as_html = write_report(report, folder, "en")
    assert json.loads(as_json.read_text("utf-8")) == report
    assert as_html.read_text("utf-8") == page(report)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]


def test_ten_thousand_jobs_make_a_page(report: Report) -> None:
    report["jobs"] = [{**report["jobs"][0], "index": number} for number in range(10_000)]
    assert len(read(report).rows) == 10_001


def test_a_long_batch_is_written_without_being_in_memory(report: Report, tmp_path: Path) -> None:
    alive: set[int] = set()
    most = 0

    class Counted(dict[str, Any]):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            nonlocal most
            alive.add(id(self))
            most = max(most, len(alive))

        def __del__(self) -> None:
            alive.discard(id(self))

    class Jobs:
        def __iter__(self) -> Iterator[Counted]:
            start = report["batch"]["started_at"]
            for index in range(3000):
                own = {
                    "index": index,
                    "name": f"job{index}",
                    "started_at": start + index,
                    "ended_at": start + index + 1,
                }
                yield Counted({**first, **own})

    first = report["jobs"][0]
    as_json, as_html = write_report({**report, "jobs": Jobs(), "bars": Jobs()}, tmp_path)
    assert len(json.loads(as_json.read_text())["jobs"]) == 3000
    assert as_html.read_text().count("<tr>") == 3001
    assert most <= 5


def test_jobs_too_short_to_be_told_apart_are_drawn_once_and_each_failure_among_them(report: Report) -> None:
    start = report["batch"]["started_at"]
    report["samples"] = []
    jobs = [{**report["jobs"][0], "started_at": start + n, "ended_at": start + n + 1} for n in range(50_000)]
    jobs[25_000]["state"] = "failed"
    report["jobs"] = jobs
    drawing = ElementTree.fromstring(memory_plot(report, words_of("en")))
    states = [(rect.get("class") or "").split()[1] for rect in drawing.iter("rect")]
    assert states.count("failed") == 1
    assert len(states) < WIDTH


LANGUAGES = sorted(path.parent.name for path in LOCALES.glob("*/report.json"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_written_in_each_language_the_panel_has(language: str, report: Report) -> None:
    assert sorted(path.name for path in LOCALES.iterdir()) == LANGUAGES
    words, text = words_of(language), page(report, language)
    assert f'<html lang="{language}">' in text
    for key in ("jobs", "memory", "highest_ram", "expected_ram", "state.done", "level.warning", "memory_key"):
        assert escape(words[key]) in text
    assert language == "en" or "share of the limit" not in text
    assert not re.findall(r"\{\w+\}", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_all_that_it_is_given(language: str) -> None:
    words, english = words_of(language), words_of("en")
    assert set(words) == set(english)
    for key, text in words.items():
        assert text and sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), key


@pytest.mark.parametrize("language", ["tlh", "../en", "", "zh/../en"])
def test_a_language_that_we_do_not_speak_is_english(language: str) -> None:
    assert words_of(language) == words_of("en")


@pytest.mark.parametrize(
    ("environment", "windows", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "", "zh"),
        ({"LC_ALL": "fr_FR.UTF-8", "LANG": "zh_CN.UTF-8"}, "", "fr"),
        ({"LC_ALL": "", "LC_MESSAGES": "ja_JP", "LANG": "C"}, "", "ja"),
        ({"LANG": "C.UTF-8"}, "", "en"),
        ({"LANG": "POSIX"}, "", "en"),
        ({}, "", "en"),
        ({}, "ko_KR", "ko"),
        ({"LANG": "ru"}, "ko_KR", "ru"),
    ],
)
def test_the_page_speaks_as_its_reader_does(environment: dict[str, str], windows: str, language: str) -> None:
    assert users_language(environment, windows) == language
