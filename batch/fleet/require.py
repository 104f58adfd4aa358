"""Whether Dask is here, and whether the way to a scheduler is safe: said before anything is started."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSTALL = "python -m pip install 'distributed>=2024.5'"
"""As the extra `fleet` of the package, which no index has: who holds our name there need not be us."""


class FleetRefused(Exception):  # noqa: N818 - it names what happened, as a person would
    """Several machines cannot be used like this; the text says why and what to do."""


@dataclass(frozen=True)
class Tls:
    """Files in PEM format: who is trusted, and who we are."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def require_dask() -> None:
    """Raise `FleetRefused` where Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise FleetRefused(
            f"Several servers, or a scheduler, need Dask, which is not installed here: {INSTALL}. "
            "One --server works without it."
        )


def require_fleet(scheduler: str = "", tls: Tls | None = None) -> None:
    """Raise `FleetRefused` where several machines, or that scheduler, cannot be used: before anything is written."""
    require_dask()
    if scheduler:
        security_for(scheduler, tls or Tls())


def quiet_dask() -> None:
    """Have Dask say nothing in this process' log: it tells of each connection, and of each worker that ends.

    What of it matters to a batch is told by the batch's own events.
    """
    import distributed  # noqa: F401 - sets its loggers' levels when it is loaded, over what was set before

    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def has_dashboard() -> bool:
    """Whether Dask's own dashboard can be served: it needs bokeh."""
    return importlib.util.find_spec("bokeh") is not None


def is_loopback(address: str) -> bool:
    """Whether `tcp://127.0.0.1:8786`, `localhost:8786` … leads to this machine and no other."""
    try:
        host = urllib.parse.urlsplit(address if "://" in address else f"tcp://{address}").hostname or ""
    except ValueError:  # half an IPv6 address
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def security_for(address: str, tls: Tls) -> Any:
    """Return Dask's `Security` for that scheduler; None where it is on this machine and without TLS.

    A scheduler runs whatever code it is sent, by anyone who reaches it: off loopback the connection must be one that
    only holders of a certificate get.

    Raises:
        FleetRefused: it is not, or a file of it is missing.
    """
    scheme = address.partition("://")[0] if "://" in address else "tcp"
    if scheme not in ("tcp", "tls"):
        raise FleetRefused(f"--scheduler {address}: {scheme}:// is not known here; give tls://HOST:PORT")
    given = {"--tls-ca": tls.ca, "--tls-cert": tls.cert, "--tls-key": tls.key}
    if scheme == "tcp":
        if any(given.values()):
            raise FleetRefused(f"--scheduler {address} goes without encryption, so no certificate is used: give tls://")
        if is_loopback(address):
            return None
        raise FleetRefused(
            f"--scheduler {address} is another machine, and the connection has no TLS. A scheduler runs the code it is "
            "sent, from anyone who reaches it. Either start it with `dask scheduler --protocol tls "
            "--tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem` and give tls:// with --tls-ca, --tls-cert "
            "and --tls-key here; or let it listen on 127.0.0.1 and reach it through an SSH tunnel."
        )
    missing = [name for name, path in given.items() if path is None]
    if missing:
        raise FleetRefused(f"--scheduler {address} needs {', '.join(missing)}: files in PEM format")
    for name, path in given.items():
        if path is not None and not path.is_file():
            raise FleetRefused(f"{name} {path}: there is no such file")
    from distributed.security import Security

    files = {"tls_ca_file": str(tls.ca), "require_encryption": True}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": str(tls.cert), f"tls_{role}_key": str(tls.key)}
    return Security(**files)
