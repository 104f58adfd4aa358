from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.verify import check_clip

av = pytest.importorskip("av")
np = pytest.importorskip("numpy")


def clip(path: Path, frames: int = 12, width: int = 64, height: int = 48) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        draw = np.random.default_rng(1)
        for _ in range(frames):
            picture = draw.integers(0, 255, (height, width, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_whole_clip_is_one(tmp_path):
    check = check_clip(clip(tmp_path / "a.mp4"), 12, 64, 48)
    assert (check.whole, check.frames) == (True, 12)


def test_a_missing_frame_is_told(tmp_path):
    check = check_clip(clip(tmp_path / "a.mp4", 11), 12, 64, 48)
    assert check.whole is False
    assert check.text == "a.mp4 has 11 frames of 64×48, not 12 of 64×48"


def test_the_wrong_size_is_told(tmp_path):
    assert check_clip(clip(tmp_path / "a.mp4"), 12, 128, 96).whole is False


def test_a_file_cut_off_in_the_middle_is_not_whole(tmp_path):
    path = clip(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    check = check_clip(path, 12, 64, 48)
    assert check.whole is False and "does not decode" in check.text


@pytest.mark.parametrize("content", [b"", b"not a video at all"])
def test_something_else_is_not_whole(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    assert check_clip(tmp_path / "a.mp4", 12, 64, 48).whole is False


def test_no_file_is_not_whole(tmp_path):
    assert check_clip(tmp_path / "none.mp4", 12, 64, 48).whole is False
