"""A report tells neither who nor where."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_gate.doctor.private import Private, of_this_machine

ADA = Private("/home/ada", "ada", "lovelace-pc")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("/home/ada/ComfyUI/temp", "~/ComfyUI/temp"),
        ("owner ada on Lovelace-PC", "owner <user> on <host>"),
        ("adapter of canada", "adapter of canada"),
        ("/home/bob/x and /Users/eve/y", "/home/<user>/x and /Users/<user>/y"),
        (r"C:\Users\eve\x", r"C:\Users\<user>\x"),
        ("/workspace/ComfyUI", "/workspace/ComfyUI"),
    ],
)
def test_home_user_and_host_are_taken_out_and_nothing_else(text, cleaned):
    assert ADA.text(text) == cleaned


def test_windows_homes_are_taken_out_however_the_slashes_lean():
    windows = Private(r"C:\Users\ada", "ada", "pc")
    assert windows.text(r"C:\Users\ada\ComfyUI") == r"~\ComfyUI"
    assert windows.text("C:/Users/ada/ComfyUI") == "~/ComfyUI"


@pytest.mark.parametrize("user", ["", "ed", "root", "admin"])
def test_names_that_are_no_names_stay(user):
    assert Private("/", user, "").text("root admin ed /etc") == "root admin ed /etc"


def test_keys_and_values_are_cleaned_however_deep():
    value = {"/home/ada": [{"path": ("/home/ada/x", 3, None, True)}]}
    assert ADA.cleaned(value) == {"~": [{"path": ["~/x", 3, None, True]}]}


@given(
    st.recursive(
        st.text() | st.integers() | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_any_json_stays_json_and_holds_no_home(value):
    cleaned = json.dumps(ADA.cleaned({"here": value, "/home/ada/there": "/home/ada/there"}), ensure_ascii=False)
    assert "/home/ada" not in cleaned


def test_the_one_of_this_machine_takes_its_home_out():
    from pathlib import Path

    assert of_this_machine().text(f"{Path.home()}/x") == "~/x"


def test_a_user_without_name_or_home_has_nothing_to_take_out():
    """A container run by a number that no passwd file knows, with HOME unset."""

    def none():
        raise RuntimeError("Could not determine home directory.")

    def unknown():
        raise KeyError("getpwuid(): uid not found: 12345")

    assert of_this_machine(none, unknown).text("/home/else/x of 12345") == "/home/<user>/x of 12345"
