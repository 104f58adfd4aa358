"""Brings a job's input files to the server, and their names there into the graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..client import is_loopback
from ..joblist.job import InputFile, Job
from ..transfer import TransferError, size_at_server, upload
from .server import Server


def missing(files: Iterable[InputFile]) -> str:
    """Say which input files are not there (any more); empty where all are."""
    return ", ".join(f"{file.path} (node {file.node}, input {file.input})" for file in files if not file.path.is_file())


def graph_for(job: Job, server: Server, arguments: Sequence[str]) -> dict[str, Any]:
    """Return the job's graph as `server` can run it, once it has the job's files.

    Args:
        arguments: the server's command line, where it tells it: the one thing that says where its input folder is.

    Raises:
        TransferError: a file cannot be read here, or the server did not take it.
        ServerGone, ServerSilent: as their names say.
    """
    names = {(file.node, file.input): _name_at(server, file.path, arguments) for file in job.files}
    return job.graph_with(names)


def _name_at(server: Server, path: Path, arguments: Sequence[str]) -> str:
    try:
        stat = path.stat()
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in server.uploads:
        found = _name_in_place(server, path, stat.st_size, arguments) or upload(server.client, path)
        server.remember_upload(key, found)
    return server.uploads[key]


def _name_in_place(server: Server, path: Path, size: int, arguments: Sequence[str]) -> str:
    """Return the file's name where it lies in the input folder of a server on this machine; empty where not."""
    folder = input_folder(arguments) if is_loopback(server.url) else None
    if folder is None:
        return ""
    try:
        inside = path.resolve().relative_to(folder.resolve())
    except (OSError, ValueError):
        return ""
    subfolder = "" if inside.parent == Path() else inside.parent.as_posix()
    # A container's port is on this machine, its folders are not: ask whether the server has that file, too.
    there = size_at_server(server.client, inside.name, subfolder)
    return inside.as_posix() if there == size else ""


def input_folder(arguments: Sequence[str]) -> Path | None:
    """Return the input folder of a server with that command line; None where it does not say.

    As ComfyUI has it: `--input-directory`, else `input` below `--base-directory`, else beside `main.py`.
    """
    options = dict(itertools.pairwise(arguments))
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals:
            options[name] = value
    if "--input-directory" in options:
        folder = Path(options["--input-directory"])
    elif "--base-directory" in options:
        folder = Path(options["--base-directory"]) / "input"
    elif arguments and arguments[0].endswith("main.py"):
        folder = Path(arguments[0]).parent / "input"
    else:
        return None
    return folder if folder.is_absolute() else None
