"""Files to and from a server: `POST /upload/image` takes any file, `GET /view` gives any."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import io
import os
import re
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

from .client import Client
from .errors import ClientError, RequestRefused, ServerGone

CHUNK = 1 << 20
"""Bytes at a time: what a transfer holds in memory."""
UPLOAD_TIMEOUT = 300.0
"""Seconds for the server to take one piece of an upload; aiohttp writes a large part to a temp file first."""
FOLDER = "resource_gate"
"""Below the server's input folder: what was uploaded for batches."""


class TransferError(ClientError):
    """A file could not be read or written here, or the server does not have it; the text says which and why."""


class DiskFull(TransferError):  # noqa: N818 - it names what was found
    """There is no room here for what the server has made; it is still there."""


NO_ROOM = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def unwritten(target: Path, error: OSError) -> TransferError:
    """Return what to raise where `target` cannot be written."""
    kind = DiskFull if error.errno in NO_ROOM else TransferError
    return kind(f"{target} cannot be written: {error.strerror}")


def view_path(name: str, subfolder: str, kind: str) -> str:
    """Return the path and query that `GET /view` takes for one file."""
    return "/view?" + urllib.parse.urlencode({"filename": name, "subfolder": subfolder, "type": kind})


def size_at_server(client: Client, name: str, subfolder: str = "", kind: str = "input") -> int | None:
    """Return the bytes of a file at the server, without fetching it; None where it has none, or does not say."""
    try:
        with client.open("GET", view_path(name, subfolder, kind), headers={"Range": "bytes=0-0"}) as answer:
            if answer.status == HTTPStatus.PARTIAL_CONTENT:
                total = re.fullmatch(r"bytes 0-0/(\d+)", answer.headers.get("Content-Range", ""))
                return None if total is None else int(total[1])
            length = answer.headers.get("Content-Length", "")
            return int(length) if length.isdigit() else None
    except RequestRefused:
        return None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, as hex.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def upload_name(path: Path, digest: str) -> str:
    """Return a name for the file at the server: its own, made safe, and a part of its content's hash.

    So another file of the same name is never overwritten, and the same file is sent once.
    """
    stem = re.sub(r"[^\w-]+", "_", path.stem, flags=re.ASCII).strip("_")[:60] or "file"
    suffix = re.sub(r"[^.\w]", "", path.suffix, flags=re.ASCII)
    return f"{stem}-{digest[:16]}{suffix}"


def upload(client: Client, path: Path) -> str:
    """Bring a file into the server's input folder unless it is there; return the name a node takes it by.

    Raises:
        TransferError: it cannot be read here, or the server did not take it.
        ServerGone, ServerSilent: as their names say.
    """
    try:
        size, name = path.stat().st_size, upload_name(path, file_hash(path))
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    if size_at_server(client, name, FOLDER) == size:
        return f"{FOLDER}/{name}"
    boundary = uuid.uuid4().hex
    # Overwriting is safe: the name holds the content's hash. It mends what an upload cut short left there.
    fields = {"type": "input", "subfolder": FOLDER, "overwrite": "true"}
    head = b"".join(_field(boundary, key, value) for key, value in fields.items())
    head += _part(boundary, f'name="image"; filename="{name}"') + b"Content-Type: application/octet-stream\r\n\r\n"
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + size + len(tail)),
    }
    try:
        body = _body(head, path, size, tail)
        with client.open("POST", "/upload/image", body, headers, UPLOAD_TIMEOUT) as answer:
            answer.read()
    except RequestRefused as refused:
        raise TransferError(f"the server did not take {path.name}: {refused}") from None
    if size_at_server(client, name, FOLDER) != size:
        raise TransferError(f"the server took {path.name}, but does not have it whole")
    return f"{FOLDER}/{name}"


def download(client: Client, file: Mapping[str, str], target: Path) -> int:
    """Fetch a file of the server's into `target`, to the disk; return its bytes. What it was cut off is removed.

    Args:
        file: as a history entry lists it: `filename`, `subfolder`, `type`.

    Raises:
        TransferError: the server does not have it, or it cannot be written here.
        ServerGone, ServerSilent: the connection broke.
    """
    name, subfolder = file["filename"], file.get("subfolder", "")
    path = view_path(name, subfolder, file.get("type", "output"))
    try:
        with client.open("GET", path) as answer:
            length = answer.headers.get("Content-Length", "")
            written = _written(answer, target)
            if length.isdigit() and written != int(length):
                raise ServerGone(f"{client.url}: the connection broke after {written} of {length} bytes of {name}")
            return written
    except RequestRefused as refused:
        place = f"{subfolder}/{name}" if subfolder else name
        raise TransferError(f"the server does not give its output {place}: {refused}") from None
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink()
        raise


def _written(answer: http.client.HTTPResponse, target: Path) -> int:
    written = 0
    try:
        file = target.open("wb", buffering=0)  # unbuffered: pieces are large, and nothing is left to write at its end
    except OSError as error:
        raise unwritten(target, error) from error
    with file:
        while piece := answer.read(CHUNK):
            try:
                written += _all_of(file, piece)
            except OSError as error:
                raise unwritten(target, error) from error
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise unwritten(target, error) from error
    return written


def _all_of(file: io.FileIO, piece: bytes) -> int:
    """Write all of it: a disk that fills up takes a part first, and says so at the next."""
    done = 0
    while done < len(piece):
        done += file.write(piece[done:]) or 0
    return done


def _body(head: bytes, path: Path, size: int, tail: bytes) -> Iterator[bytes]:
    yield head
    left = size
    try:
        with path.open("rb") as file:
            while left and (piece := file.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    if left:
        raise TransferError(f"{path} became shorter while it was sent")
    yield tail


def _part(boundary: str, disposition: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode()


def _field(boundary: str, name: str, value: str) -> bytes:
    return _part(boundary, f'name="{name}"') + f"\r\n{value}\r\n".encode()
