"""Makes the folder that a server of ours lives in, so that nothing of it touches an installation's own folders."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder that ComfyUI loads as a custom node."""
NODE_FOLDER = "resource-gate"
FOLDERS = ("custom_nodes", "input", "models", "output", "temp", "user")
NOT_COPIED = shutil.ignore_patterns(".*", "node_modules", "tests", "ui", "bench", "build", "__pycache__")


def make_base_directory(
    base: Path,
    *,
    extension: bool,
    extra_nodes: Mapping[str, str] | None = None,
    models: Path | None = None,
    package: Path = PACKAGE,
) -> Path:
    """Make (or complete) what `--base-directory` expects; return it.

    Args:
        base: the folder; made if missing.
        extension: whether `custom_nodes/resource-gate` leads to `package`; if not, a link left there is removed.
        extra_nodes: further custom nodes, name → source of its `__init__.py`.
        models: a models folder to use instead of an empty one.
        package: the extension.
    """
    if models is not None and not (base / "models").exists():
        base.mkdir(parents=True, exist_ok=True)
        (base / "models").symlink_to(models, target_is_directory=True)
    for name in FOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / NODE_FOLDER
    if extension and not link.exists():
        try:
            link.symlink_to(package, target_is_directory=True)
        except OSError:  # Windows allows links to administrators and developers only
            shutil.copytree(package, link, ignore=NOT_COPIED)
    elif not extension and link.is_symlink():
        link.unlink()
    elif not extension and link.exists():
        shutil.rmtree(link)
    for name, source in (extra_nodes or {}).items():
        folder = base / "custom_nodes" / name
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(source, "utf-8")
    return base
