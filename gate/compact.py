"""JSON without spaces, by one encoder: `json.dumps` makes one each time, which takes longer than a short text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def _encoder() -> Callable[[Any], str]:
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # a Python without its accelerator
        return json.JSONEncoder(separators=(",", ":"), default=str, check_circular=False).encode
    encode = make(None, str, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    return lambda value: "".join(encode(value, 0))


ENCODE = _encoder()
"""A value as JSON. What JSON cannot say, which no client can have sent, becomes its text.

Raises:
    RecursionError: it holds itself, or is nested too deeply.
    TypeError: a key is none.
"""
