"""`resource-gate doctor` against a server, against one without us, and against none."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from resource_gate.cli import main


@pytest.fixture
def server():
    """Answers `GET /resource_gate/doctor` with what `answer` holds: (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = listening.answer
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments):
            """Quiet."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield listening
    listening.shutdown()
    listening.server_close()
    thread.join()


def url(server):
    return f"http://127.0.0.1:{server.server_port}"


def test_the_report_of_a_server_is_shown_as_it_is(server, capsys):
    server.answer = (200, {"version": "9.9.9"})
    assert main(["doctor", "--json", "--server", url(server)]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": "9.9.9"}


def test_a_server_without_us_leaves_the_machine(server, capsys):
    server.answer = (404, {})
    assert main(["doctor", "--server", url(server)]) == 1
    told = capsys.readouterr()
    assert "runs without Resource Gate" in told.err and "no server asked" in told.out


def test_no_server_leaves_the_machine(server, capsys):
    address = url(server)
    server.shutdown()
    server.server_close()
    assert main(["doctor", "--json", "--server", address]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["machine"]["ram"] and "the machine alone" in told.err


def test_an_error_of_the_server_is_told_as_such(server, capsys):
    server.answer = (500, {"error": {"message": "failed inside", "fields": []}})
    assert main(["doctor", "--server", url(server)]) == 2
    assert "failed inside" in capsys.readouterr().err
