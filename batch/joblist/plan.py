"""A workflow and a table become jobs; whatever is wrong with either is told at once, before the first job."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .check import check_graph, check_node
from .definitions import COMBO, DYNAMIC_COMBO, Definitions, InputSpec
from .job import OUTPUT_FOLDER, InputFile, Job, JobList, JobListError, Problem
from .names import Names, safe_name
from .rows import FILE, STEM, Rows
from .targets import Setting, read_setting
from .templates import NUMBER, TemplateError, columns_in, fill
from .values import WrongValueError, value_like, value_of
from .workflow import Workflow, at_file, read_workflow

PREFIX = "filename_prefix"
"""The input by which ComfyUI's nodes that save know what to call their files."""
NAME_COLUMN = "name"
"""The column that names the jobs where there is one."""
QUOTED = 60
"""Letters of a cell that a message repeats; a cell may hold a page."""
UNCHECKED = (
    "No server was asked for its node definitions: nodes, inputs, types, ranges and choices are not checked, "
    "and only values that name a file here count as files to upload."
)
"""What is said where the definitions are not at hand."""


def plan(
    workflow: Path,
    rows: Rows,
    sets: Sequence[str],
    object_info: Mapping[str, Any] | None,
    name: str | None = None,
) -> JobList:
    """Make the jobs of a batch.

    Args:
        workflow: a file in API format, or in the UI's own.
        rows: the table, a row a job.
        sets: `Node.input=value`, with `{column}` for what the row has.
        object_info: what the server's `GET /object_info` answers; None: what can be checked without it is.
        name: a template of the jobs' names; without it the column `name`, the file's stem, or the row's number.

    Raises:
        JobListError: nothing can be run as it is; it names everything that is wrong.
    """
    definitions = None if object_info is None else Definitions(object_info)
    read = read_workflow(workflow, definitions)
    planner = _Planner(read, rows, definitions)
    problems = planner.understand(sets, name)
    jobs = planner.jobs(problems)
    if problems:
        raise JobListError(list(dict.fromkeys(problems)))
    told = read.notes if definitions is not None else (UNCHECKED,)
    return JobList(tuple(jobs), workflow, rows.source, told)


class _Planner:
    """One planning: the workflow, the table, and what was understood so far."""

    def __init__(self, workflow: Workflow, rows: Rows, definitions: Definitions | None) -> None:
        self._workflow = workflow
        self._rows = rows
        self._definitions = definitions
        self._settings: list[Setting] = []
        self._name = self._default_name()
        self._recheck: set[str] = set()

    def understand(self, sets: Sequence[str], name: str | None) -> list[Problem]:
        """Read the options and check the workflow itself; return what is wrong with them."""
        problems = []
        for option in sets:
            found = read_setting(option, self._workflow, self._definitions, self._rows.columns)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                problems += self._twice(found)
                self._settings.append(found)
        if name is not None:
            problems += self._name_problems(name)
        if self._definitions is not None:
            skip = {place for setting in self._settings for place in setting.places}
            self._recheck = {node for node, input_name in skip if self._brings_inputs(node, input_name)}
            found_here = check_graph(self._workflow.graph, self._definitions, skip)
            problems += [at_file(problem, self._workflow.path) for problem in found_here]
        return problems

    def _twice(self, setting: Setting) -> list[Problem]:
        taken = {place: earlier for earlier in self._settings for place in earlier.places}
        clash = next((taken[place] for place in setting.places if place in taken), None)
        if clash is None:
            return []
        return [Problem(None, f"--set {setting.option}", f"--set {clash.option} sets the same input", "one of them")]

    def _name_problems(self, name: str) -> list[Problem]:
        try:
            unknown = [each for each in columns_in(name) if each not in self._rows.columns and each != NUMBER]
        except TemplateError as error:
            return [Problem(None, f"--name {name}", str(error), "{column}, {{ or }}")]
        if not unknown:
            self._name = name
            return []
        expected = f"one of {', '.join(self._rows.columns)}"
        return [Problem(None, f"--name {name}", f"there is no column {unknown[0]!r}", expected)]

    def _default_name(self) -> str:
        for column in (NAME_COLUMN, STEM):
            if column in self._rows.columns:
                return f"{{{column}}}"
        if FILE in self._rows.columns:
            return ""  # the stem of what the column holds
        return f"{{{NUMBER}}}"

    def _spec(self, node: str, input_name: str) -> InputSpec | None:
        entry = self._workflow.graph[node]
        known = self._definitions.get(entry["class_type"]) if self._definitions else None
        return None if known is None else known.expanded(entry["inputs"]).get(input_name)

    def _brings_inputs(self, node: str, input_name: str) -> bool:
        spec = self._spec(node, input_name)
        return spec is not None and spec.type == DYNAMIC_COMBO

    def jobs(self, problems: list[Problem]) -> list[Job]:
        """Make a job of each row; what is wrong with the rows is added to `problems`."""
        specs = {place: self._spec(*place) for setting in self._settings for place in setting.places}
        names, made = Names(), []
        for number, row in enumerate(self._rows.rows, 1):
            job_name = names.take(self._wanted_name(row, number, problems), number)
            graph = self._copy()
            files: list[InputFile] = []
            for setting in self._settings:
                self._put(graph, setting, specs, (row, number), files, problems)
            self._name_outputs(graph, job_name)
            for found in self._checked_again(graph):
                problems.append(Problem(number, found.column, found.found, found.expected, self._rows.source))
            made.append(Job(number - 1, job_name, graph, tuple(files), row))
        return made

    def _wanted_name(self, row: Mapping[str, str], number: int, problems: list[Problem]) -> str:
        if not self._name:
            return Path(row.get(FILE, "")).stem
        # The number in as many digits as the last one has, so that the names sort.
        digits = {NUMBER: str(number).zfill(len(str(len(self._rows.rows))))}
        try:
            return fill(self._name, {**digits, **row}, number)
        except TemplateError as error:
            problems.append(Problem(number, error.column or "", "it is missing", "a name", self._rows.source))
            return ""

    def _copy(self) -> dict[str, Any]:
        """Return a graph to put values into; what no job changes is shared, for ten thousand jobs lie in memory."""
        touched = {node for setting in self._settings for node, _ in setting.places}
        graph = dict(self._workflow.graph)
        for node, entry in graph.items():
            if node in touched or isinstance(entry["inputs"].get(PREFIX), str):
                graph[node] = {**entry, "inputs": dict(entry["inputs"])}
        return graph

    def _checked_again(self, graph: Mapping[str, Any]) -> list[Problem]:
        """Check the nodes whose inputs depend on a value that the row put in."""
        if self._definitions is None:
            return []
        return [found for node in sorted(self._recheck) for found in check_node(graph, node, self._definitions)]

    def _put(
        self,
        graph: dict[str, Any],
        setting: Setting,
        specs: Mapping[tuple[str, str], InputSpec | None],
        place: tuple[Mapping[str, str], int],
        files: list[InputFile],
        problems: list[Problem],
    ) -> None:
        row, number = place
        column = ", ".join(setting.columns) or f"--set {setting.option}"
        try:
            text = fill(setting.template, row, number)
        except TemplateError as error:
            problems.append(Problem(number, error.column or column, "it is missing", "a value", self._rows.source))
            return
        for node, input_name in setting.places:
            spec, present = specs[node, input_name], graph[node]["inputs"].get(input_name)
            if self._is_upload(text, spec):
                path = self._local(text)
                if not _is_file(path):
                    found = f"there is no file {_quoted(text)}"
                    problems.append(Problem(number, column, found, "a file on this machine", self._rows.source))
                files.append(InputFile(node, input_name, path))
                graph[node]["inputs"][input_name] = str(path)
                continue
            try:
                graph[node]["inputs"][input_name] = value_like(text, present) if spec is None else value_of(text, spec)
            except WrongValueError as error:
                problems.append(Problem(number, column, _quoted(text), str(error), self._rows.source))

    def _local(self, text: str) -> Path:
        """Return the file that a cell names: beside the table, or from where the command was given."""
        try:
            named = Path(text).expanduser()
        except RuntimeError:  # ~somebody, whom this machine does not know
            named = Path(text)
        beside = self._rows.folder / named
        return beside if _is_file(beside) else named.absolute()

    def _is_upload(self, text: str, spec: InputSpec | None) -> bool:
        """Say whether a value names a file to upload: by the definition, else by being media that lies here.

        Node packs offer the files of the input folder as plain choices, without saying that one may upload there.
        """
        if spec is not None:
            known = text in (spec.choices or ())
            if spec.takes_file:
                # A name that only the server knows is one of its own files.
                return not known or _is_file(self._local(text))
            if known or spec.type != COMBO:
                return False
        media = (mimetypes.guess_type(text)[0] or "").split("/")[0] in ("image", "video", "audio")
        return media and "\n" not in text and _is_file(self._local(text))

    def _name_outputs(self, graph: Mapping[str, Any], job_name: str) -> None:
        set_by_hand = {place for setting in self._settings for place in setting.places}
        for node, entry in graph.items():
            present = entry["inputs"].get(PREFIX)
            known = self._definitions.get(entry["class_type"]) if self._definitions else None
            keeps = known is None or known.output_node
            if isinstance(present, str) and keeps and (node, PREFIX) not in set_by_hand:
                last = safe_name(present.replace("\\", "/").rsplit("/", 1)[-1].replace("%", "_")) or "output"
                entry["inputs"][PREFIX] = f"{OUTPUT_FOLDER}/{job_name}/{last}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}…")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have, such as one of a thousand letters
        return False
