"""Brings what a prompt made into the batch's folder: whole, verified, under names that stay."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..client import Client
from ..transfer import download, unwritten
from ..verify import check_file


class OutputsBroken(Exception):  # noqa: N818 - it names what was found
    """A file is not whole, or there is none; the text says which."""


def files_of(outputs: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the files that a history entry lists, by node and in their order, each once.

    Those in the output folder; where there are none, previews in the temp folder.
    """
    found: list[dict[str, str]] = []
    for node in sorted(outputs, key=_natural):
        for file in _listed(outputs[node]):
            if file not in found:
                found.append(file)
    kept = [file for file in found if file["type"] == "output"]
    return kept or [file for file in found if file["type"] == "temp"]


def output_names(stem: str, separator: str, files: list[dict[str, str]]) -> list[str]:
    """Return a name for each: `stem.ext`, or, where there are several, `stem_1.ext`, `stem_2.ext` …"""
    endings = [_ending(file["filename"]) for file in files]
    if len(files) == 1:
        return [stem + endings[0]]
    return [f"{stem}{separator}{number}{ending}" for number, ending in enumerate(endings, 1)]


def fetch(client: Client, outputs: Mapping[str, Any], stem: str, separator: str, out: Path, verify: bool) -> list[Path]:
    """Fetch all files of a history entry's `outputs` into `out`; each appears there whole, or not at all.

    Raises:
        OutputsBroken: the server lists none, or does not give one, or one does not decode.
        TransferError: one cannot be written here; `DiskFull` where that holds for any.
        ServerGone, ServerSilent: the connection broke; what is there already is written again next time.
    """
    files = files_of(outputs)
    if not files:
        raise OutputsBroken("it ended well, but the server lists no file that it made")
    placed = []
    for file, name in zip(files, output_names(stem, separator, files), strict=True):
        target, part = out / name, out / f".{name}.part"
        try:
            try:
                out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unwritten(out, error) from error
            size = download(client, file, part)
            if not size:
                raise OutputsBroken(f"{file['filename']} is empty")
            found = check_file(part, Path(name).suffix) if verify else None
            if found is not None and found.whole is False:
                raise OutputsBroken(f"{file['filename']}: {found.text}")
            _place(part, target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        placed.append(target)
    return placed


def _place(part: Path, target: Path) -> None:
    try:
        os.replace(part, target)  # noqa: PTH105 - replaces on Windows, too, where rename does not
        if os.name == "posix":  # elsewhere a folder cannot be opened; NTFS journals its names itself
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise unwritten(target, error) from error


def _listed(value: Any) -> Iterator[dict[str, str]]:
    """Yield what looks like a file in a node's output: nodes list them as `images`, `gifs`, `audio`, `3d` …"""
    if not isinstance(value, Mapping):
        return
    for entries in value.values():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("filename"), str) and entry["filename"]:
                yield {
                    "filename": entry["filename"],
                    "subfolder": str(entry.get("subfolder") or ""),
                    "type": str(entry.get("type") or "output"),
                }


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text) if part]


def _ending(name: str) -> str:
    """Of a name that a server tells: nothing of it may lead elsewhere."""
    ending = re.search(r"\.[A-Za-z0-9]{1,12}$", name)
    return ending[0].lower() if ending else ""
