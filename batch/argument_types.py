"""Numbers and addresses on a command line, as argparse takes them: what is wrong is told with the argument's name."""

from __future__ import annotations

import argparse
import math
import urllib.parse


def whole(text: str) -> int:
    """A whole number from 0 up.

    Raises:
        ValueError, argparse.ArgumentTypeError: it is none.
    """
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("it must not be negative")
    return number


def seconds(text: str) -> float:
    """Seconds from 0 up, finite.

    Raises:
        ValueError, argparse.ArgumentTypeError: it is none.
    """
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError("it must not be negative, nor infinite")
    return number


def pause(text: str) -> float:
    """Seconds above 0, finite. Raises as `seconds`."""
    number = seconds(text)
    if not number:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return number


def address(text: str) -> str:
    """Where a server answers, as a browser would open it.

    Raises:
        argparse.ArgumentTypeError: it is none. `localhost:8188` is none either: it reads as the scheme `localhost`.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        right = False
    if not right:
        raise argparse.ArgumentTypeError(f"{text!r} is no address of a server, as http://127.0.0.1:8188 is one")
    return text
