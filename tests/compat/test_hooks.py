"""Each thing of ComfyUI that we lean on is as we need it: one test for each, so that an update's change has a name.

What a hook *does* is tested on running ComfyUIs in `tests/live`; here nothing is started.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.live


def test_this_hook_is_as_we_need_it(version, hook, probed):
    assert probed[hook] == "", f"ComfyUI {version} changed {hook}: {probed[hook]}"
