"""A release: the version in every place it stands, the changelog's heading, and all that is in its way."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

DAY = "2026-01-31"


@pytest.fixture(scope="module")
def release(root):
    spec = importlib.util.spec_from_file_location("release_tool", root / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def git(folder, *arguments):
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tree(root, release, tmp_path):
    """The files that name the version, as they are, in a repository of their own."""
    for place in (*release.PLACES, "CHANGELOG.md"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(root / place, tmp_path / place)
    changelog = tmp_path / "CHANGELOG.md"
    if not re.search(r"## \[Unreleased\]\s+(?!## )\S", changelog.read_text("utf-8")):
        changelog.write_text(changelog.read_text("utf-8").replace("## [Unreleased]", "## [Unreleased]\n\n- Something."))
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "as it is")
    return tmp_path


def test_every_place_gets_the_version_and_the_changelog_its_heading(release, tree):
    release.prepare(tree, "99.1.2", DAY)
    for place in release.PLACES:
        text = (tree / place).read_text("utf-8")
        assert "99.1.2" in text and release.with_version(text, place, "99.1.2") == text
    changelog = (tree / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]\n\n## [99.1.2] - 2026-01-31\n" in changelog
    assert f"\n[99.1.2]: {release.REPOSITORY}/releases/tag/v99.1.2" in changelog
    assert f"[Unreleased]: {release.REPOSITORY}/compare/v99.1.2...main" in changelog
    changed = git(tree, "status", "--porcelain").split()[1::2]
    assert sorted(changed) == sorted([*release.PLACES, "CHANGELOG.md"])


def test_only_our_own_version_is_changed_in_the_list_of_the_panels_packages(release, tree):
    before = (tree / "ui/package-lock.json").read_text("utf-8")
    after = release.with_version(before, "ui/package-lock.json", "99.1.2")
    differ = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert len(differ) == 2 and all("99.1.2" in line for line in differ)


def test_the_second_release_links_to_what_changed_since_the_first(release, tree):
    release.prepare(tree, "98.0.0", DAY)
    git(tree, "commit", "--quiet", "--all", "--message", "one")
    git(tree, "tag", "v98.0.0")
    changelog = tree / "CHANGELOG.md"
    changelog.write_text(changelog.read_text("utf-8").replace("## [Unreleased]\n", "## [Unreleased]\n\n- New.\n", 1))
    git(tree, "commit", "--quiet", "--all", "--message", "two")
    release.prepare(tree, "98.0.1", DAY)
    assert f"\n[98.0.1]: {release.REPOSITORY}/compare/v98.0.0...v98.0.1\n" in changelog.read_text("utf-8")


@pytest.mark.parametrize(
    ("spoil", "version", "why"),
    [
        (lambda tree: (tree / "version.py").write_text("x = 1\n"), "99.0.0", "not committed"),
        (lambda tree: git(tree, "checkout", "--quiet", "-b", "other"), "99.0.0", "not main"),
        (lambda tree: git(tree, "tag", "v99.0.0"), "99.0.0", "no later version"),
        (lambda tree: None, "0.0.1", "no later version"),
        (lambda tree: None, "99", "no version like"),
    ],
)
def test_what_is_in_the_way_is_told_and_nothing_is_changed(release, tree, spoil, version, why):
    spoil(tree)
    before = git(tree, "diff")
    with pytest.raises(release.NotReleased, match=why):
        release.prepare(tree, version, DAY)
    assert git(tree, "diff") == before


def test_a_changelog_with_nothing_to_tell_is_no_release(release):
    with pytest.raises(release.NotReleased, match="tells nothing"):
        release.with_heading("# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - x\n", "1.0.1", DAY, "1.0.0")


@pytest.mark.parametrize("fails", ["npm", "make", "git"])
@pytest.mark.parametrize("how", ["is missing", "fails", "is broken off"])
def test_what_fails_after_that_leaves_the_files_as_they_were(release, tree, fails, how):
    release.prepare(tree, "99.0.0", DAY)
    asked = []

    def run(*command, root):
        asked.append(command)
        if command[0] != fails:
            return ""
        if how == "is broken off":
            raise KeyboardInterrupt
        return release.call("no-such-program-here" if how == "is missing" else "false", root=root)

    with pytest.raises(KeyboardInterrupt if how == "is broken off" else release.NotReleased):
        release.commit(tree, "99.0.0", run)
    assert asked[-1][0] == fails and git(tree, "status", "--porcelain") == ""


def test_a_push_that_is_refused_says_what_is_here_and_how_to_go_on(release, tree):
    release.prepare(tree, "99.0.0", DAY)
    git(tree, "commit", "--quiet", "--all", "--message", "Version 99.0.0")
    git(tree, "tag", "v99.0.0")
    with pytest.raises(release.NotReleased, match=r"commit and tag are here.*git push --atomic origin main v99\.0\.0"):
        release.push(tree, "99.0.0")
