from __future__ import annotations

from typing import Any

import pytest

from resource_gate.batch.joblist.definitions import InputSpec
from resource_gate.batch.joblist.values import WrongValueError, value_like, value_of


def spec(kind: str, choices: tuple[Any, ...] | None = None, **options: Any) -> InputSpec:
    return InputSpec("x", kind, options, choices=choices)


@pytest.mark.parametrize(
    ("text", "known", "value"),
    [
        ("12", spec("INT", min=1, max=4096), 12),
        ("12.0", spec("INT"), 12),
        ("18446744073709551615", spec("INT", max=2**64 - 1), 2**64 - 1),
        ("0.5", spec("FLOAT", min=0.0, max=1.0), 0.5),
        ("3", spec("FLOAT"), 3.0),
        ("Yes", spec("BOOLEAN"), True),
        ("0", spec("BOOLEAN"), False),
        ("", spec("STRING"), ""),
        ("a, b", spec("STRING"), "a, b"),
        ("euler", spec("COMBO", ("euler", "ddim")), "euler"),
        ("2", spec("COMBO", (1, 2)), 2),
        ("anything", spec("COMBO", None), "anything"),
    ],
)
def test_a_text_becomes_what_the_input_takes(text: str, known: InputSpec, value: Any) -> None:
    found = value_of(text, known)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("many", spec("INT", min=1, max=4096), "a whole number (1–4096)"),
        ("1.5", spec("INT", min=1), "a whole number (1 or more)"),
        ("4097", spec("INT", min=1, max=4096), "a whole number (1–4096)"),
        ("nan", spec("FLOAT", max=1.0), "a number (1.0 or less)"),
        ("", spec("FLOAT"), "a number"),
        ("maybe", spec("BOOLEAN"), "true or false"),
        ("Euler", spec("COMBO", ("euler", "ddim")), "one of euler, ddim"),
        ("x", spec("COMBO", tuple(range(20))), "one of 0, 1, 2, 3, 4, 5, 6, 7 and 12 more"),
        ("x", spec("IMAGE"), "a link from another node: input x takes IMAGE, not a value"),
    ],
)
def test_a_text_that_does_not_fit_tells_what_would(text: str, known: InputSpec, expected: str) -> None:
    with pytest.raises(WrongValueError) as error:
        value_of(text, known)
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("text", "present", "value"),
    [("7", 3, 7), ("7.5", 3, 7.5), ("7", 3.0, 7), ("on", False, True), ("x", "y", "x"), ("x", None, "x")],
)
def test_without_definitions_the_value_that_stands_there_tells_the_kind(text: str, present: Any, value: Any) -> None:
    assert value_like(text, present) == value


def test_without_definitions_a_text_for_a_number_is_refused() -> None:
    with pytest.raises(WrongValueError):
        value_like("many", 3)
