"""Texts with `{column}` in them, filled in from a row."""

from __future__ import annotations

import re
from collections.abc import Mapping

NUMBER = "index"
"""A column that every table has: the row's number, counted from 1. A column of this name in the table wins."""
_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A brace that opens or closes nothing, or a column that the table does not have (`column`)."""

    def __init__(self, text: str, column: str | None = None) -> None:
        super().__init__(text)
        self.column = column


def columns_in(template: str) -> list[str]:
    """Return the columns that the template names, each once, in its order.

    Raises:
        TemplateError: a brace that opens or closes nothing.
    """
    found: dict[str, None] = {}
    for part in _PARTS.finditer(template):
        if part.group() in ("{", "}"):
            raise TemplateError(f"a single {part.group()} in {template!r}; a brace that shall stay is written twice")
        if part.group(1) is not None:
            found[part.group(1).strip()] = None
    return list(found)


def fill(template: str, row: Mapping[str, str], number: int) -> str:
    """Put a row's values in; `{{` and `}}` become single braces.

    Args:
        template: the text.
        row: column → text.
        number: the row's, counted from 1.

    Raises:
        TemplateError: the row lacks a column that the template names.
    """

    def value(part: re.Match[str]) -> str:
        if part.group() in ("{{", "}}"):
            return part.group()[0]
        column = (part.group(1) or "").strip()
        if column in row:
            return row[column]
        if column == NUMBER:
            return str(number)
        raise TemplateError(f"there is no column {column!r}", column)

    return _PARTS.sub(value, template)
