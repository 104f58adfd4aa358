"""Numbers on a command line, as argparse takes them: what is out of range is told with the argument's name."""

from __future__ import annotations

import argparse
import math


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
