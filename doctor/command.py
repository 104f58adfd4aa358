"""`resource-gate doctor`: the report of a server, or of this machine where none answers."""

from __future__ import annotations

import argparse
import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ..batch.client import Client
from ..batch.errors import ClientError, RequestRefused
from .machine import machine_report
from .private import of_this_machine
from .report import report
from .text import report_lines


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`--json`; the server's address is added by who knows its default."""
    parser.add_argument("--json", action="store_true", help="the report as it is")
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the report. 0 where a server told it, 1 where only the machine could be looked at."""
    found, code = _asked(options.server)
    text = json.dumps(found, indent=2) if options.json else "\n".join(report_lines(found))
    sys.stdout.write(text + "\n")
    return code


def _asked(server: str) -> tuple[dict[str, Any], int]:
    try:
        answer: dict[str, Any] = Client(server).call("GET", "/resource_gate/doctor")
        return answer, 0
    except RequestRefused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        why = f"{server} runs without Resource Gate, or with one that knows no doctor"
    except ClientError as error:
        why = str(error)
    sys.stderr.write(f"resource-gate: {why}; this is the report of the machine alone\n")
    return report(machine_report({"here": Path.cwd()}), of_this_machine()), 1
