"""A case in detail: samples, interval, reason to stop, command."""

from __future__ import annotations

import re

import msgspec
import pytest

from arbench.report.page.commands import case_command
from arbench.report.page.details import anchors, details
from arbench.report.page.strip import strip
from arbench.results import Case, Run


def detail_of(results, case_id: str):
    return next(one for one in details(results, anchors(results), {}) if one.anchor == anchors(results)[case_id])


def test_every_case_has_an_id_of_its_own(results) -> None:
    places = anchors(results, "run2-")
    assert places.keys() == results.cases.keys()
    assert len(set(places.values())) == len(places)
    assert all(re.fullmatch(r"run2-case-\d+", place) for place in places.values())


def test_a_timed_case_tells_its_samples_interval_and_reason_to_stop(results) -> None:
    case = results.cases["wavenet:nv/sample/cached/256"]
    one = detail_of(results, case.id)
    facts = dict(one.facts)
    assert one.title == "wavenet:nv sample cached, N = 256"
    assert one.method == "cached"
    assert facts["samples"] == "6 by 6 workers; none is left out"
    assert facts["stopped"] == "the 95% interval of every case was narrow enough"
    low, high = (float(end) for end in re.fullmatch(r"\[([\d.]+), ([\d.]+)\] ms", facts["95% interval"]).groups())
    assert low / 1e3 <= case.ci95_s[0] <= case.ci95_s[1] <= high / 1e3
    assert one.workers is not None
    told = {row[0]: float(row[2]) / 1e3 for row in one.workers.rows}
    measured = {str(line.worker + 1): line.seconds[0] for line in results.timed[case.id]}
    assert told == pytest.approx(measured, rel=5e-3)


def test_a_case_that_is_not_ok_tells_why_and_has_no_picture(results) -> None:
    one = detail_of(results, "pixelcnn:gated/sample/naive/768")
    assert one.strip is None
    assert one.workers is None
    assert ("reason", "no answer in 60 s") in one.facts
    assert one.outcome == "timed out"


def test_fewer_workers_have_a_range(build, models) -> None:
    results = build(models=models[:1], workers=3)
    facts = dict(detail_of(results, "wavenet:nv/sample/cached/256").facts)
    assert "range over 3 workers" in facts
    assert "95% interval" not in facts


def test_the_strip_has_a_row_for_each_worker_and_every_sample_has_a_dot() -> None:
    svg = strip({0: [1.0, 2.0, 3.0], 4: [2.0]}, 2.0, (1.5, 2.5), "var(--red)")
    dots = re.findall(r"M(\d+) (\d+)h0", svg)
    assert [int(x) for x, y in dots if y == dots[0][1]] == [6, 120, 234]
    assert [int(x) for x, y in dots if y != dots[0][1]] == [120]
    (left, wide) = map(int, re.search(r'<rect x="(\d+)" width="(\d+)"', svg).groups())
    assert (left, left + wide) == (63, 177)
    assert 'd="M120 0v18"' in svg


def test_equal_samples_make_one_dot_in_the_middle() -> None:
    assert re.findall(r"M(\d+) \d+h0", strip({0: [2.0, 2.0]}, 2.0, None, "red")) == ["120"]


def cases_of(results, **wanted) -> Case:
    return next(c for c in results.cases.values() if all(getattr(c, k) == v for k, v in wanted.items()))


def test_the_command_measures_the_case_alone_with_the_settings_of_its_run(build, models) -> None:
    options = {"data": "my voice.wav", "threads": 2, "budget": 2.0, "workers": 6, "seed": 3, "timeout": 120.0}

    def planned(line):
        if isinstance(line, Run):
            return msgspec.structs.replace(line, plan={"options": options})
        if isinstance(line, Case):
            return msgspec.structs.replace(line, batch=4)
        return line

    results = build(models=models[:1], edit=planned)
    found = case_command(cases_of(results, method="cached", n=256), results.run)
    assert found is not None
    assert found.alone
    which = "arbench run --model wavenet:nv --op sample --method cached --n 256"
    assert found.text == f"{which} --batch 4 --data 'my voice.wav' --seed 3 --threads 2 --budget 2"


def test_a_model_and_a_method_of_ones_own_are_named_as_the_user_named_them(build, models) -> None:
    case = {"model": "wavenet", "preset": "nv", "op": "sample", "method": "cached", "backend": "eager", "device": "cpu"}
    plan = {"cases": [{**case, "dtype": "float32", "batch": 1, "n": 256, "spec": "my.py:Net", "method_spec": "m.py:f"}]}
    edit = lambda line: msgspec.structs.replace(line, plan=plan) if isinstance(line, Run) else line  # noqa: E731
    results = build(models=models[:1], edit=edit)
    found = case_command(cases_of(results, method="cached", n=256), results.run)
    assert found is not None
    assert found.text == "arbench run --model my.py:Net --op sample --method m.py:f --n 256"


def test_a_kernel_is_measured_beside_others_and_says_so(kernels) -> None:
    found = case_command(next(iter(kernels.cases.values())), kernels.run)
    assert found is not None
    assert found.text == "arbench kernels --kernel softmax --op forward"
    assert not found.alone


def test_a_run_without_a_command_has_none(build, models) -> None:
    edit = lambda line: msgspec.structs.replace(line, argv=[]) if isinstance(line, Run) else line  # noqa: E731
    results = build(models=models[:1], edit=edit)
    assert case_command(next(iter(results.cases.values())), results.run) is None
