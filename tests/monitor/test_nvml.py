from __future__ import annotations

import pytest

from resource_gate.monitor.nvml import NvmlReader

GIB = 1024**3


def reader(nvml, **environment):
    return NvmlReader(lambda: nvml, environment)


def names(nvml, **environment):
    return [gpu.name for gpu in reader(nvml, **environment).read()]


def test_it_tells_memory_use_temperature_and_power(fake_nvml):
    nvml = fake_nvml({"used": 6 * GIB, "total": 24 * GIB, "busy": 50, "temperature": 61, "milliwatts": 215500})
    [gpu] = reader(nvml).read()
    assert (gpu.index, gpu.name, gpu.used, gpu.total, gpu.source) == (0, "Card 0", 6 * GIB, 24 * GIB, "nvml")
    assert (gpu.utilization, gpu.temperature, gpu.power) == (0.5, 61.0, 215.5)
    assert (gpu.throttled, gpu.freeable, gpu.fraction) == (None, None, 0.25)


def test_what_the_driver_keeps_for_itself_is_left_out_as_cuda_leaves_it_out(fake_nvml):
    [gpu] = reader(fake_nvml({"used": 7 * GIB, "total": 8 * GIB, "reserved": GIB // 2})).read()
    assert (gpu.used, gpu.total) == (6.5 * GIB, 7.5 * GIB)


def test_a_module_or_driver_that_cannot_tell_it_apart_counts_it_as_used(fake_nvml):
    older = fake_nvml({"used": 7 * GIB, "total": 8 * GIB, "reserved": GIB // 2})
    older.nvmlMemory_v2 = None
    assert [(g.used, g.total) for g in reader(older).read()] == [(7 * GIB, 8 * GIB)]
    assert [(g.used, g.total) for g in reader(fake_nvml({"used": 7 * GIB, "total": 8 * GIB})).read()] == [
        (7 * GIB, 8 * GIB)
    ]


def test_what_a_card_does_not_support_is_none(fake_nvml):
    [gpu] = reader(fake_nvml({})).read()
    assert (gpu.utilization, gpu.temperature, gpu.power) == (None, None, None)


@pytest.mark.parametrize(
    ("reasons", "words"),
    [(0, None), (1, None), (4, "power cap"), (32, "hot"), (4 | 64 | 8, "hot (hardware), hardware slowdown, power cap")],
)
def test_throttle_reasons_are_told_in_words(fake_nvml, reasons, words):
    [gpu] = reader(fake_nvml({"reasons": reasons})).read()
    assert gpu.throttled == words


def test_older_drivers_that_answer_in_bytes_are_understood(fake_nvml):
    [gpu] = reader(fake_nvml({"name": b"Old Card", "uuid": b"GPU-ab"})).read()
    assert (gpu.name, gpu.uuid) == ("Old Card", "GPU-ab")


def test_without_the_module_there_are_no_gpus():
    def load():
        raise ImportError("No module named 'pynvml'")

    assert NvmlReader(load, {}).read() == ()


@pytest.mark.parametrize("name", ["NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded"])
def test_without_a_driver_there_are_no_gpus_until_it_is_loaded(fake_nvml, name):
    nvml = fake_nvml({})
    nvml.init_error = getattr(nvml, name)()
    nvml_reader = reader(nvml)
    assert nvml_reader.read() == ()
    nvml.init_error = None
    assert len(nvml_reader.read()) == 1


def test_a_driver_that_does_not_match_is_an_error(fake_nvml):
    nvml = fake_nvml({})
    nvml.init_error = nvml.NVMLError("Driver/library version mismatch")
    with pytest.raises(nvml.NVMLError, match="mismatch"):
        reader(nvml).read()


def test_a_driver_that_vanishes_is_an_error_and_is_started_anew(fake_nvml):
    nvml = fake_nvml({})
    nvml_reader = reader(nvml)
    nvml_reader.read()
    nvml.error = nvml.NVMLError("GPU is lost")
    with pytest.raises(nvml.NVMLError, match="lost"):
        nvml_reader.read()
    nvml.error = None
    assert len(nvml_reader.read()) == 1
    assert nvml.inits == 2


def test_a_card_without_memory_of_its_own_still_tells_how_hot_and_busy_it_is(fake_nvml):
    """DGX Spark: its GPU uses the machine's RAM, and NVML answers "not supported" to the question for its memory."""
    nvml = fake_nvml({"used": None, "total": None, "temperature": 71, "busy": 100})
    [gpu] = reader(nvml).read()
    assert (gpu.used, gpu.total, gpu.temperature, gpu.utilization) == (0, 0, 71.0, 1.0)


def test_what_a_driver_refuses_to_tell_beside_memory_costs_no_more_than_that(fake_nvml):
    """A slice of a card (MIG) has no temperature, an old driver lacks calls, a container lacks rights."""
    nvml = fake_nvml({})
    for key in ("temperature", "busy", "milliwatts", "reasons"):
        nvml.cards[0][key] = nvml.NVMLError("Invalid Argument")
    [gpu] = reader(nvml).read()
    assert (gpu.used, gpu.temperature, gpu.utilization, gpu.power, gpu.throttled) == (2 * GIB, None, None, None, None)


def test_a_module_too_old_to_know_a_call_goes_without_it(fake_nvml):
    class Older(fake_nvml):
        nvmlDeviceGetNumGpuCores = property()  # noqa: N815 - reading it raises AttributeError
        nvmlDeviceGetCurrentClocksThrottleReasons = property()  # noqa: N815

    assert names(Older({}, {})) == ["Card 0", "Card 1"]


@pytest.mark.parametrize("before", [True, False])
def test_a_card_that_is_lost_leaves_the_others_in_their_places_and_is_told_once(fake_nvml, caplog, before):
    nvml = fake_nvml({"lost": before}, {})
    nvml_reader = reader(nvml)
    if not before:
        assert len(nvml_reader.read()) == 2
    nvml.cards[0]["lost"] = True
    for _ in range(3):
        assert [gpu.name for gpu in nvml_reader.read()] == ["Card 1"]
    assert nvml.inits == 1
    assert [record.message for record in caplog.records] == [caplog.records[0].message]
    assert "GPU is lost" in caplog.text


def test_where_a_card_is_lost_the_others_keep_their_numbers(fake_nvml):
    nvml = fake_nvml({}, {})
    nvml_reader = reader(nvml)
    nvml_reader.read()
    nvml.cards[0]["lost"] = True
    assert [gpu.index for gpu in nvml_reader.read()] == [1]


def test_the_driver_is_started_once_only(fake_nvml):
    nvml = fake_nvml({})
    nvml_reader = reader(nvml)
    for _ in range(5):
        nvml_reader.read()
    assert nvml.inits == 1


def test_equal_cards_are_counted_in_bus_order(fake_nvml):
    assert names(fake_nvml({}, {})) == ["Card 0", "Card 1"]


def test_the_faster_card_comes_first_as_cuda_counts(fake_nvml):
    nvml = fake_nvml({"cores": 1000}, {"cores": 9000}, {"cores": 4000})
    assert names(nvml) == ["Card 1", "Card 2", "Card 0"]
    assert [g.index for g in reader(nvml).read()] == [0, 1, 2]


def test_bus_order_holds_where_cuda_is_told_so(fake_nvml):
    nvml = fake_nvml({"cores": 1000}, {"cores": 9000})
    assert names(nvml, CUDA_DEVICE_ORDER="PCI_BUS_ID") == ["Card 0", "Card 1"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1", ["Card 1"]),
        ("2,0", ["Card 2", "Card 0"]),
        ("GPU-2222", ["Card 2"]),
        (" 1 , GPU-0", ["Card 1", "Card 0"]),
        ("0,-1,1", ["Card 0"]),
        ("0,9,1", ["Card 0"]),
        ("GPU-", []),
        ("", []),
        ("-1", []),
    ],
)
def test_only_the_cards_that_cuda_shows_are_told_in_its_order(fake_nvml, visible, expected):
    assert names(fake_nvml({}, {}, {}), CUDA_VISIBLE_DEVICES=visible) == expected


def test_a_mig_slice_is_told_by_its_uuid(fake_nvml):
    nvml = fake_nvml({})
    nvml.slices["MIG-77"] = {"name": "Slice", "uuid": "MIG-77", "used": 1 * GIB, "total": 10 * GIB}
    [gpu] = reader(nvml, CUDA_VISIBLE_DEVICES="MIG-77").read()
    assert (gpu.name, gpu.total, gpu.utilization) == ("Slice", 10 * GIB, None)
    assert names(nvml, CUDA_VISIBLE_DEVICES="MIG-78") == []


def test_the_real_module_has_every_name_that_is_used():
    pynvml = pytest.importorskip("pynvml")
    calls = [
        *("Init", "DeviceGetCount", "DeviceGetHandleByIndex", "DeviceGetHandleByUUID", "DeviceGetName"),
        *("DeviceGetUUID", "DeviceGetMemoryInfo", "DeviceGetUtilizationRates", "DeviceGetTemperature"),
        *("DeviceGetPowerUsage", "DeviceGetCurrentClocksThrottleReasons", "DeviceGetNumGpuCores"),
        *("DeviceGetMaxClockInfo", "ClocksThrottleReasonSwThermalSlowdown", "ClocksThrottleReasonSwPowerCap"),
        *("ClocksThrottleReasonHwThermalSlowdown", "ClocksThrottleReasonHwSlowdown"),
        "ClocksThrottleReasonHwPowerBrakeSlowdown",
    ]
    names = [f"nvml{call}" for call in calls] + ["NVML_TEMPERATURE_GPU", "NVML_CLOCK_SM"]
    names += ["NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded", "NVMLError_NotSupported"]
    assert [name for name in names if not hasattr(pynvml, name)] == []


def test_the_real_module_tells_its_cards_or_none():
    pytest.importorskip("pynvml")
    for gpu in NvmlReader().read():
        assert 0 <= gpu.used <= gpu.total
