from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_gate.batch.joblist.names import MAX_LENGTH, Names, safe_name
from resource_gate.batch.joblist.templates import TemplateError, columns_in, fill

FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("clip 1", "clip 1"),
        ("a/b\\c:d?", "a_b_c_d_"),
        ("ends with a dot. ", "ends with a dot"),
        ("CON", "_CON"),
        ("nul.mp4", "_nul.mp4"),
        ("com7", "_com7"),
        ("company", "company"),
        ("ü 視頻", "ü 視頻"),
        ("...", ""),
    ],
)
def test_a_name_is_made_one_that_windows_takes(text: str, name: str) -> None:
    assert safe_name(text) == name


@given(st.lists(st.text(), max_size=30))
def test_names_are_safe_and_none_is_given_twice(wanted: list[str]) -> None:
    names = Names()
    given_out = [names.take(text, number) for number, text in enumerate(wanted, 1)]
    assert len({name.casefold() for name in given_out}) == len(wanted)
    for name in given_out:
        assert name
        assert not FORBIDDEN & set(name)
        assert name == name.strip(" .")
        assert len(name) <= MAX_LENGTH + 1


def test_the_same_list_has_the_same_names_again() -> None:
    wanted = ["a", "A", "a", "b", "a-2"]
    first, second = Names(), Names()
    again = [second.take(text, 1) for text in wanted]
    assert [first.take(text, 1) for text in wanted] == again == ["a", "A-2", "a-3", "b", "a-2-2"]


def test_a_template_takes_columns_and_keeps_doubled_braces() -> None:
    assert columns_in("{a} of {{x}} and { b } {a}") == ["a", "b"]
    assert fill("{a} of {{x}} and { b }: {index}", {"a": "1", "b": "two"}, 7) == "1 of {x} and two: 7"


@pytest.mark.parametrize("template", ["a { b", "a } b", "{a{b}"])
def test_a_single_brace_is_refused(template: str) -> None:
    with pytest.raises(TemplateError, match="written twice"):
        columns_in(template)


def test_a_column_that_the_row_lacks_is_named() -> None:
    with pytest.raises(TemplateError, match="no column 'b'"):
        fill("{b}", {"a": "1"}, 1)
