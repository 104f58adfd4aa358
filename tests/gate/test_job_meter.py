from __future__ import annotations

from resource_gate.gate.job_meter import JobMeter

MB = 1024**2


def test_above_an_empty_process_it_is_the_rise():
    meter = JobMeter()
    meter.start(700 * MB)
    meter.node("EmptyImage", 700 * MB, 1000 * MB, 270 * MB)
    meter.boundary(970 * MB)
    meter.node("ImageScale", 970 * MB, 2100 * MB, 1070 * MB)
    meter.end(2000 * MB)
    assert meter.ram == 1400 * MB
    assert meter.nodes == {"ImageScale": 1130 * MB, "EmptyImage": 300 * MB}


def test_outputs_of_an_earlier_job_that_go_meanwhile_are_not_its_own():
    meter = JobMeter()
    meter.start(700 * MB)
    meter.end(700 * MB)
    meter.start(3000 * MB)
    meter.node("EmptyImage", 3000 * MB, 3050 * MB, 50 * MB)
    meter.boundary(750 * MB)
    meter.node("ImageScale", 750 * MB, 950 * MB, 200 * MB)
    meter.end(900 * MB)
    assert meter.ram == 250 * MB


def test_outputs_that_stay_are_no_need_of_its():
    meter = JobMeter()
    meter.start(3000 * MB)
    meter.node("ImageScale", 3000 * MB, 3200 * MB, 200 * MB)
    meter.end(3200 * MB)
    assert meter.ram == 200 * MB


def test_a_peak_that_no_node_was_measured_for_counts():
    meter = JobMeter()
    meter.start(700 * MB)
    meter.peak(1500 * MB)
    meter.end(800 * MB)
    assert meter.ram == 800 * MB and meter.floor == 700 * MB


def test_each_job_begins_anew():
    meter = JobMeter()
    meter.start(100 * MB)
    meter.node("A", 100 * MB, 900 * MB, 0)
    meter.end(100 * MB)
    meter.start(100 * MB)
    meter.end(100 * MB)
    assert meter.ram == 0 and meter.nodes == {}
