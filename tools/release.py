"""Release a version, in one command: set it everywhere, test, commit, tag, push. The workflow *publish* does the rest.

    make release VERSION=0.2.0
    python tools/release.py 0.2.0 --no-push   # leaves commit and tag here, to be looked at

Nothing is changed where something is in the way: changes that are not committed, another branch than `main`, a version
that is no later one, a changelog with nothing to tell. What fails after that leaves the files as they were; only a push
that is refused leaves commit and tag, and says so.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/resource-gate/resource-gate"
UNRELEASED = "## [Unreleased]"

PLACES = {
    "version.py": r'(?m)^(__version__ = ")[^"]+(")$',
    "pyproject.toml": r'(?m)^(version = ")[^"]+(")$',
    "ui/package.json": r'(?m)^(  "version": ")[^"]+(")',
    "ui/package-lock.json": r'("name": "resource-gate-panel",\s+"version": ")[^"]+(")',
}
"""File → where the version stands in it: what comes before it, and behind."""


class NotReleased(Exception):  # noqa: N818 - it says what came of it
    """Why there is no release."""


def parts(version: str) -> tuple[int, ...]:
    """A version as numbers.

    Raises:
        NotReleased: it is none like 1.2.3.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise NotReleased(f"{version} is no version like 1.2.3")
    return tuple(map(int, version.split(".")))


def current(root: Path) -> str:
    """The version that the package has now."""
    return re.search(r'__version__ = "([^"]+)"', (root / "version.py").read_text("utf-8"))[1]  # type: ignore[index]


def with_version(text: str, place: str, version: str) -> str:
    """The text of a file of `PLACES` with another version in it.

    Raises:
        NotReleased: it has no place for one.
    """
    changed, count = re.subn(PLACES[place], rf"\g<1>{version}\g<2>", text)
    if not count:
        raise NotReleased(f"{place} has no place for the version")
    return changed


def with_heading(changelog: str, version: str, day: str, before: str | None) -> str:
    """The changelog with what was unreleased under the version's heading.

    Args:
        before: the version before it; None for the first.

    Raises:
        NotReleased: nothing stands under *Unreleased*.
    """
    _, found, rest = changelog.partition(UNRELEASED + "\n")
    section = re.split(r"(?m)^## |^\[Unreleased\]:", rest)[0]
    if not found or not section.strip():
        raise NotReleased(f"CHANGELOG.md tells nothing under {UNRELEASED}")
    made = changelog.replace(UNRELEASED + "\n", f"{UNRELEASED}\n\n## [{version}] - {day}\n", 1)
    link = f"compare/v{before}...v{version}" if before else f"releases/tag/v{version}"
    links = f"[Unreleased]: {REPOSITORY}/compare/v{version}...main\n[{version}]: {REPOSITORY}/{link}"
    return re.sub(r"(?m)^\[Unreleased\]: .*$", links, made, count=1)


def call(*command: str, root: Path = ROOT) -> str:
    """Run it and return what it printed.

    Raises:
        NotReleased: it failed, or is not there.
    """
    try:
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise NotReleased(f"{command[0]} cannot be run ({error})") from None
    if done.returncode:
        raise NotReleased(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout.strip()


def prepare(root: Path, version: str, day: str) -> None:
    """Write the version into all files.

    Raises:
        NotReleased: something is in the way; nothing is changed then.
    """
    if call("git", "status", "--porcelain", root=root):
        raise NotReleased("there are changes that are not committed")
    if (branch := call("git", "branch", "--show-current", root=root)) != "main":
        raise NotReleased(f"this is the branch {branch}, not main")
    tags = [tag.removeprefix("v") for tag in call("git", "tag", "--list", "v*", root=root).split()]
    last = max(tags, key=parts, default=None)
    if parts(version) < parts(current(root)) or (last is not None and parts(version) <= parts(last)):
        raise NotReleased(f"{version} is no later version than {last or current(root)}")
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    written = {place: with_version((root / place).read_text("utf-8"), place, version) for place in PLACES}
    written["CHANGELOG.md"] = with_heading(changelog, version, day, last)
    for place, text in written.items():
        (root / place).write_text(text, "utf-8")


def commit(root: Path, version: str, run: Callable[..., str] = call) -> None:
    """Build, test and commit what `prepare` wrote. Whatever ends this early, Ctrl-C too, leaves the files as they were.

    Raises:
        NotReleased: a step failed.
    """
    try:
        run("npm", "ci", "--silent", "--no-audit", "--no-fund", root=root / "ui")
        run("npm", "run", "--silent", "build", root=root / "ui")  # the panel tells its version
        run("make", "lint", "types", "unit", "ui", root=root)
        run("git", "commit", "--all", "--message", f"Version {version}", root=root)
    except BaseException:
        call("git", "checkout", "--", ".", root=root)
        raise


def push(root: Path, version: str) -> None:
    """Send commit and tag, both or neither.

    Raises:
        NotReleased: they were refused.
    """
    command = ("git", "push", "--atomic", "origin", "main", f"v{version}")
    try:
        call(*command, root=root)
    except NotReleased as error:
        raise NotReleased(f"{error}; commit and tag are here: {' '.join(command)}") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--no-push", action="store_true", help="commit and tag, and leave it here")
    options = parser.parse_args()
    day = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    try:
        prepare(ROOT, options.version, day)
        commit(ROOT, options.version)
        call("git", "tag", "--annotate", f"v{options.version}", "--message", f"Version {options.version}")
        if not options.no_push:
            push(ROOT, options.version)
    except NotReleased as error:
        print(f"Not released: {error}.")
        return 1
    print(f"v{options.version} is {'tagged' if options.no_push else 'on its way: see the workflow publish'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
