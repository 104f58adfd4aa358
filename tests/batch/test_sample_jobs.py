from __future__ import annotations

import json
import math
import struct

import pytest

from resource_gate.batch.trial.calibration import MIB, limit_between
from resource_gate.batch.trial.random_weights import text_encoder_shapes, vae_shapes, write_model
from resource_gate.batch.trial.sample_jobs import ClipSize, model_clip, plain_clip


def values(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


def links(graph):
    return [v for n in graph.values() for v in n["inputs"].values() if isinstance(v, list)]


def test_the_plain_clip_is_the_one_of_the_stock_baseline():
    graph = plain_clip(0).graph
    assert [n["class_type"] for n in graph.values()] == ["EmptyImage", "ImageScale", "CreateVideo", "SaveVideo"]
    assert graph["frames"]["inputs"] | {"color": 0} == {"width": 640, "height": 360, "batch_size": 97, "color": 0}
    assert (graph["scale"]["inputs"]["width"], graph["scale"]["inputs"]["height"]) == (1280, 720)


@pytest.mark.parametrize("make", [plain_clip, model_clip])
def test_every_link_of_a_graph_leads_to_a_node_and_every_node_is_used(make):
    graph = make(3).graph
    sources = {link[0] for link in links(graph)}
    assert sources <= graph.keys()
    assert graph.keys() - sources == {"save"}


@pytest.mark.parametrize("make", [plain_clip, model_clip])
def test_no_two_clips_of_a_batch_are_one_job_to_a_cache(make):
    graphs = {json.dumps(make(index, name="same").graph) for index in range(50)}
    assert len(graphs) == 50


def test_the_sizes_of_frames_are_known():
    size = ClipSize()
    assert (size.source_bytes, size.target_bytes) == (97 * 640 * 360 * 12, 97 * 1280 * 720 * 12)


def test_the_models_have_as_many_weights_as_the_real_ones():
    # OpenCLIP ViT-bigG-14's text model with projection, and Stable Diffusion's AutoencoderKL.
    assert values(text_encoder_shapes()) == 694_659_840
    assert values(vae_shapes()) == 83_653_863


def test_a_model_file_is_what_safetensors_says(tmp_path):
    shapes = {"a": (3, 5), "b": (70_000,)}
    path = tmp_path / "sub/model.safetensors"
    size = write_model(path, shapes, "F16")
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header["a"] == {"dtype": "F16", "shape": [3, 5], "data_offsets": [0, 30]}
    assert header["b"]["data_offsets"] == [30, 140_030]
    assert size == len(data) == 8 + length + 140_030
    weights = struct.unpack("<70000e", data[8 + length + 30 :])
    assert 0.01 < max(weights) < 0.2 and min(weights) < -0.01


def test_the_limit_lies_between_what_must_fit_and_what_stock_takes():
    assert limit_between(1000 * MIB, 2000 * MIB, 0.3) == 1300 * MIB
    assert limit_between(1000 * MIB + 5, 1001 * MIB, 0.5) == 1000 * MIB
