from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from resource_gate.batch.client import Client
from resource_gate.batch.errors import ServerGone
from resource_gate.batch.transfer import TransferError, download, file_hash, upload_name
from resource_gate.batch.verify import check_file


def picture(path: Path) -> Path:
    noise = np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8)
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 120, 90, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    return path


def sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.zeros(8000, np.int16).tobytes())
    return path


def test_a_whole_video_picture_and_sound_are_whole(tmp_path, a_video):
    (tmp_path / "a.mp4").write_bytes(a_video)
    assert check_file(tmp_path / "a.mp4").whole is True and check_file(tmp_path / "a.mp4").frames == 8
    assert check_file(picture(tmp_path / "a.png")).whole is True
    assert check_file(sound(tmp_path / "a.wav")).whole is True


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_video_that_is_cut_off_anywhere_is_not(tmp_path, a_video, share):
    (tmp_path / "a.mp4").write_bytes(a_video[: int(len(a_video) * share)])
    assert check_file(tmp_path / "a.mp4").whole is False


def test_a_video_whose_frames_are_gone_though_its_index_is_there_is_not(tmp_path, a_video):
    made = tmp_path / "front.mp4"
    (tmp_path / "a.mp4").write_bytes(a_video)
    with (
        av.open(str(tmp_path / "a.mp4")) as source,
        av.open(str(made), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert check_file(made).whole is True
    data = made.read_bytes()
    made.write_bytes(data[: int(len(data) * 0.7)])
    assert check_file(made).whole is False


def test_a_picture_that_is_cut_off_is_not(tmp_path):
    path = picture(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:-200])
    assert check_file(path).whole is False


def test_rubbish_under_a_videos_name_is_not(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"not a video" * 100)
    assert check_file(tmp_path / "a.mp4").whole is False


def test_what_nobody_here_decodes_is_left_alone(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"x")
    told = check_file(tmp_path / "a.safetensors")
    assert told.whole is None and "unverified" in told.text


def test_the_kind_may_be_told_apart_from_the_name(tmp_path, a_video):
    (tmp_path / ".a.mp4.part").write_bytes(a_video)
    assert check_file(tmp_path / ".a.mp4.part", ".mp4").whole is True


def test_names_at_the_server_are_safe_and_tell_contents_apart(tmp_path):
    (tmp_path / "x").write_bytes(b"one")
    digest = file_hash(tmp_path / "x")
    assert digest == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    name = upload_name(Path("/clips/Ünïcode & spaces (1).MP4"), digest)
    assert name == "n_code_spaces_1-7692c3ad3540bb80.MP4"
    assert upload_name(Path("日本.mp4"), digest) == "file-7692c3ad3540bb80.mp4"


def test_a_file_that_the_server_has_not_is_told_by_its_name(fake, tmp_path):
    with pytest.raises(TransferError, match=r"does not give its output sub/gone\.mp4"):
        download(Client(fake.url), {"filename": "gone.mp4", "subfolder": "sub", "type": "output"}, tmp_path / "x")


def test_a_download_from_a_dead_server_leaves_nothing(fake, tmp_path):
    fake.stop()
    with pytest.raises(ServerGone):
        download(Client(fake.url), {"filename": "a", "subfolder": "", "type": "output"}, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_said_and_is_not_the_servers_fault(fake, tmp_path):
    fake.files["a"] = b"data"
    with pytest.raises(TransferError, match="cannot be written"):
        download(Client(fake.url), {"filename": "a", "subfolder": "", "type": "output"}, tmp_path / "no/such/x")
