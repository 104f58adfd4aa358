"""Files between the machine that runs the batch and a worker's, over the connection that is there already.

In this way a worker needs no open port and no shared folder, and TLS covers the files, too. A file goes in pieces, is
checked by size and SHA-256, and appears under its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

PIECE = 4 * 1024**2
"""Bytes of one message: large enough that the way there counts and not the messages, small beside a worker's memory."""


class ParcelDamaged(Exception):  # noqa: N818 - it names what happened, as a person would
    """What arrived is not what was sent."""


class Desk(Protocol):
    """Runs a function of this module at the other side, with the worker's own folder as its first argument."""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any: ...  # noqa: D102


def send_file(desk: Desk, source: Path, target: str) -> None:
    """Bring a file here to `target`, a path in the other side's folder.

    Raises:
        OSError: it cannot be read here, or written there.
        ParcelDamaged: it changed meanwhile.
    """
    digest, at = hashlib.sha256(), 0
    with source.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            desk(write_piece, target, at, piece)
            at += len(piece)
    if at == 0:
        desk(write_piece, target, 0, b"")
    if desk(hash_of, target) != digest.hexdigest():
        raise ParcelDamaged(f"{source} did not arrive whole")


def fetch_file(desk: Desk, source: str, target: Path) -> None:
    """Bring a file of the other side here.

    Raises:
        OSError: it cannot be read there, or written here.
        ParcelDamaged: it did not arrive whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    digest, at = hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            while piece := desk(read_piece, source, at):
                file.write(piece)
                digest.update(piece)
                at += len(piece)
            file.flush()
            os.fsync(file.fileno())
        if desk(hash_of, source) != digest.hexdigest():
            raise ParcelDamaged(f"{target.name} did not arrive whole")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def inside(folder: Path, name: str) -> Path:
    """Return the path of `name` in `folder`.

    Raises:
        PermissionError: it would lie outside.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise PermissionError(f"{name} does not lie in the worker's own folder")
    return path


def write_piece(folder: Path, name: str, at: int, piece: bytes) -> None:
    """Write at byte `at`."""
    path = inside(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if at else "wb") as file:
        file.seek(at)
        file.write(piece)


def read_piece(folder: Path, name: str, at: int) -> bytes:
    """Read from byte `at`; empty at the end."""
    with inside(folder, name).open("rb") as file:
        file.seek(at)
        return file.read(PIECE)


def hash_of(folder: Path, name: str) -> str:
    """SHA-256 of a file, as hex."""
    with inside(folder, name).open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def remove_folder(folder: Path, name: str) -> None:
    """Remove a folder and all in it, where it is there."""
    shutil.rmtree(inside(folder, name), ignore_errors=True)
