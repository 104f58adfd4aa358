"""The registry's security standards (https://docs.comfy.org/registry/standards), over every file that is shipped."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("os", "system"),
    ("os", "popen"),
    ("pickle", "load"),
    ("pickle", "loads"),
    ("marshal", "loads"),
    ("subprocess", "getoutput"),
    ("subprocess", "getstatusoutput"),
}
INSTALLERS = re.compile(r"^(pip\d?|uv|conda|easy_install|ensurepip)$")


def problems_in(source: str) -> Iterator[str]:
    """What the standards forbid, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in FORBIDDEN_CALLS:
                yield f"{node.lineno}: {called.id}()"
            named = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
            if named and (called.value.id, called.attr) in FORBIDDEN_ATTRIBUTES:
                yield f"{node.lineno}: {called.value.id}.{called.attr}()"
            for keyword in node.keywords:
                if keyword.arg == "shell" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    yield f"{node.lineno}: shell="
        if isinstance(node, (ast.List, ast.Tuple)):
            words = [e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]
            if any(INSTALLERS.match(Path(w).name) for w in words) and "install" in words:
                yield f"{node.lineno}: installs packages"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            if any(n.split(".")[0] in ("pip", "ensurepip") for n in names):
                yield f"{node.lineno}: imports pip"


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "exec('1')",
        "import os\nos.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])",
        "from pip import main",
        "pickle.loads(b'')",
    ],
)
def test_the_check_sees_what_is_forbidden(source):
    assert list(problems_in(source))


def test_no_shipped_python_file_does_what_the_registry_forbids(shipped, root):
    python = [name for name in shipped if name.endswith(".py")]
    assert len(python) > 100
    found = {name: list(problems_in((root / name).read_text("utf-8"))) for name in python}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_panel_runs_no_text_as_code_and_asks_no_other_host(root):
    panel = (root / "web" / "resource_gate.js").read_text("utf-8")
    assert not re.search(r"\beval\s*\(|new Function\s*\(|\bimportScripts\b|document\.write", panel)
    code = re.sub(r"/\*.*?\*/", "", panel, flags=re.S)  # licence notices name where a library is from
    hosts = set(re.findall(r"https?://([a-z0-9.-]+)", code))
    assert hosts <= {"www.w3.org"}, "only the names of SVG and MathML may look like addresses"


def test_nothing_shipped_is_obfuscated(shipped, root):
    """No file holds a text so long that nobody can read it; the panel's bundle is built, and says from what."""
    for name in shipped:
        if name == "web/resource_gate.js":
            assert "Built from ui/" in (root / name).read_text("utf-8")
        elif name.endswith((".py", ".html", ".json")):
            longest = max(map(len, (root / name).read_text("utf-8").splitlines() or [""]))
            assert longest < 2000, name
