"""From the text of a cell to the value that an input takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .definitions import COMBO, DYNAMIC_COMBO, InputSpec
from .ui_widgets import has_widget

YES = frozenset({"true", "yes", "on", "1"})
NO = frozenset({"false", "no", "off", "0"})
SHOWN = 8
"""Choices that a message lists; the rest are counted."""


class WrongValueError(ValueError):
    """A text that the input does not take; its text says what would be one."""


def value_of(text: str, spec: InputSpec) -> Any:
    """Return the value that `text` means for that input.

    Raises:
        WrongValueError: it means none that the server would take.
    """
    if spec.type in (COMBO, DYNAMIC_COMBO):
        return _choice(text, spec)
    if spec.type in ("INT", "FLOAT"):
        return _number(text, spec)
    if spec.type == "BOOLEAN":
        return _boolean(text)
    if not has_widget(spec) and "STRING" not in spec.type.split(","):
        raise WrongValueError(f"a link from another node: input {spec.name} takes {spec.type}, not a value")
    return text


def value_like(text: str, present: Any) -> Any:
    """Return the value that `text` means where nothing is known but the value that stands there now.

    Raises:
        WrongValueError: it is not of the same kind.
    """
    if isinstance(present, bool):
        return _boolean(text)
    if isinstance(present, int):
        # A whole number saved for an input of fractions looks the same: 8 may become 8.5.
        number = _parsed_number(text)
        return int(number) if number == int(number) else number
    if isinstance(present, float):
        return _parsed_number(text)
    return text


def expected_of(spec: InputSpec) -> str:
    """Say what the input takes: `a whole number (1–4096)`."""
    if spec.choices is not None:
        return f"one of {_listed(spec.choices)}"
    name = {"INT": "a whole number", "FLOAT": "a number", "BOOLEAN": "true or false", "STRING": "a text"}
    return name.get(spec.type, spec.type) + _range(spec)


def in_range(value: float, spec: InputSpec) -> bool:
    """Say whether the server takes a number of that size there."""
    low, high = spec.options.get("min"), spec.options.get("max")
    return not (low is not None and value < low) and not (high is not None and value > high)


def _range(spec: InputSpec) -> str:
    low, high = spec.options.get("min"), spec.options.get("max")
    if spec.type not in ("INT", "FLOAT") or (low is None and high is None):
        return ""
    if high is None:
        return f" ({low} or more)"
    return f" ({high} or less)" if low is None else f" ({low}–{high})"


def _listed(choices: Sequence[Any]) -> str:
    shown = ", ".join(str(choice) for choice in choices[:SHOWN])
    more = len(choices) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "no choices: the server lists none"


def _choice(text: str, spec: InputSpec) -> Any:
    if spec.choices is None:
        return text
    for choice in spec.choices:
        if str(choice) == text or (isinstance(choice, bool) and str(choice).lower() == text.lower()):
            return choice
    raise WrongValueError(expected_of(spec))


def _number(text: str, spec: InputSpec) -> int | float:
    try:
        number = _parsed_number(text)
    except WrongValueError:
        raise WrongValueError(expected_of(spec)) from None
    if (spec.type == "INT" and number != int(number)) or not in_range(number, spec):
        raise WrongValueError(expected_of(spec))
    return int(number) if spec.type == "INT" else float(number)


def _parsed_number(text: str) -> int | float:
    """Read a number; whole ones stay exact however long they are, as seeds are."""
    try:
        return int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            raise WrongValueError("a number") from None
    if not math.isfinite(number):
        raise WrongValueError("a number that is finite")
    return number


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in YES:
        return True
    if lowered in NO:
        return False
    raise WrongValueError("true or false")
