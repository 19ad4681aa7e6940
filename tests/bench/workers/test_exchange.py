"""Messages of a worker: only what its job asks for is accepted."""

from __future__ import annotations

import pytest

from arbench.bench.job import Job, Message, Planned
from arbench.bench.options import Options
from arbench.bench.workers.exchange import Exchange
from arbench.bench.workers.failure import BrokenMessageError
from arbench.results import Count, Samples, Verification

COUNTED = (None, None, None, None, None, None, "none")


def verified(case, status="ok", facts=None):
    return Message(line=Verification(case, status, "pointwise", facts or {}))


def timed(case, number=0, worker=3):
    return Message(line=Samples(case, worker, number, 4e9, [0.1]))


def test_what_is_asked_for_is_taken(plan):
    first, second, *_ = (case.id for case in plan().cases)
    cases = plan().cases[:2]
    proving = Exchange(Job("prove", cases, 0, 1, verified=[second]))
    ladder = Message(line=Count("smaller", *COUNTED, n=4, ladder_of=first))
    for message in (
        Message(ready=True),
        Message(begin=first, step="verify"),
        verified(first),
        Message(begin=first, step="count"),
        Message(line=Count(second, *COUNTED)),
        ladder,
        verified(second, "inexact"),  # its counted call differs
        Message(done=True),
    ):
        proving.check(message)
    timing = Exchange(Job("time", cases, 0, 1, worker=3, done=[(first, 0)]))
    for message in (timed(first, 1), timed(second), timed(second, 1), verified(first, "inexact"), Message(done=True)):
        timing.check(message)


def test_nothing_else_is_taken(plan):
    first, second, other, _ = (case.id for case in plan().cases)
    cases = plan().cases[:2]
    unasked = "the worker sent a message that was not asked for: it "
    shape = "Expected `float | null`, got `str` - at `$.call_s`"
    invalid = f"the worker sent a message that is not valid: 'verified': {shape}"
    early = f"the worker said that it is done, without a result of {second}"
    for stage, before, message, why in [
        ("prove", [], Message(begin=other, step="verify"), f"{unasked}begins {other}"),
        ("prove", [], verified(other), f"{unasked}verifies {other}"),
        ("prove", [], timed(first), f"{unasked}times {first} in round 0"),
        ("prove", [], Message(line=Count(other, *COUNTED)), f"{unasked}counts {other}"),
        (
            "prove",
            [verified(first)],
            Message(done=True),
            early,
        ),
        ("time", [], verified(first), f"{unasked}verifies {first}"),
        ("time", [], timed(other), f"{unasked}times {other} in round 0"),
        ("time", [], timed(first, worker=2), f"{unasked}times {first} in round 0"),
        ("time", [timed(first)], timed(first), f"{unasked}times {first} in round 0"),
        ("prove", [], verified(first, facts={"call_s": "soon"}), invalid),
        ("time", [], Message(line=Count(first, *COUNTED)), f"{unasked}counts {first}"),
        ("time", [timed(first)], Message(done=True), early),
    ]:
        exchange = Exchange(Job(stage, cases, 0, 1, worker=3))
        for one in before:
            exchange.check(one)
        with pytest.raises(BrokenMessageError) as refused:
            exchange.check(message)
        assert str(refused.value) == why


def test_a_plan_is_taken_where_one_was_asked_for(plan):
    job = Job("plan", [], 0, 1, options=[Options(), Options()], models=["a:B"])
    begins, made = Message(begin="a:B", step="built"), Message(planned=Planned(plan().cases))
    refused = Message(planned=Planned(refusal="no"))
    for messages, why in (
        ([begins, made, made, Message(done=True)], None),
        ([begins, refused, Message(done=True)], None),
        ([begins, made, Message(done=True)], "the worker said that it is done, without a plan"),
        ([made, made, made], "the worker sent a message that was not asked for: it plans a run"),
        ([refused, made], "the worker sent a message that was not asked for: it plans a run"),
        ([Message(begin="c:D")], "the worker sent a message that was not asked for: it begins c:D"),
    ):
        exchange = Exchange(job)
        for message in messages[:-1]:
            exchange.check(message)
        if why is None:
            exchange.check(messages[-1])
            continue
        with pytest.raises(BrokenMessageError, match=f"^{why}$"):
            exchange.check(messages[-1])
    with pytest.raises(BrokenMessageError, match=r"it plans a run$"):
        Exchange(Job("prove", plan().cases, 0, 1)).check(made)
