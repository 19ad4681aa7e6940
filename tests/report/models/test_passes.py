"""Passes by weights: nfe over N, with random and with trained weights side by side."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report import answers, has_trained, passes_table
from arbench.report.summary import summary
from arbench.results import Case, Model, Trained

WEIGHTS = Trained("speech", 3.71, "bits per audio sample", True, 0, 12, "0" * 64)


def described(preset: str, trained: Trained | None) -> Model:
    return Model("wavenet", preset, "", "audio sample", trained=trained)


def twice(line):
    """Return an edit that adds a trained WaveNet, whose samplers need four times as many evaluations."""
    if not isinstance(line, Case) or line.model != "wavenet":
        return line
    preset = "nv@speech"
    other = msgspec.structs.replace(line, preset=preset, id=line.id.replace(":nv", f":{preset}"), nfe=4 * line.nfe)
    return [line, other]


@pytest.fixture
def both(build):
    return build(edit=twice, described=[described("nv", None), described("nv@speech", WEIGHTS)])


def table(results) -> list[list[str]]:
    found = passes_table(results)
    return [[column.heading for column in found.columns], *map(list, found.rows)]


def test_random_and_trained_weights_stand_side_by_side(both) -> None:
    nfe = {c.n: c.nfe for c in both.cases.values() if (c.model, c.preset, c.method) == ("wavenet", "nv", "fixed_point")}
    n = max(nfe)
    assert table(both)[:2] == [
        ["model", "method", "N", "random", "trained"],
        ["wavenet:nv@speech", "fixed_point", f"{n:,}", f"{nfe[n] / n:.3g}", f"{4 * nfe[n] / n:.3g}"],
    ]
    assert [row[0] for row in table(both)[2:]] == ["pixelcnn:gated"]
    assert passes_table(both).notes[1] == ("wavenet:nv@speech: trained on speech, 3.71 bits per audio sample, held out")
    assert has_trained(both)


@pytest.mark.parametrize(("draft", "said"), [(None, True), ("1" * 64, False)])
def test_a_draft_with_random_weights_is_said(build, draft, said) -> None:
    def edit(line):
        made = twice(line)
        if not isinstance(made, list) or line.method != "fixed_point":
            return made
        return [
            msgspec.structs.replace(one, method="speculative", id=one.id.replace("fixed_point", "speculative"))
            for one in made
        ]

    weights = msgspec.structs.replace(WEIGHTS, draft=draft)
    notes = passes_table(build(edit=edit, described=[described("nv", None), described("nv@speech", weights)])).notes
    line = "wavenet:nv@speech: the draft of speculative has random weights; a trained one guesses better"
    assert (line in notes) == said
    assert "random weights" not in " ".join(one for one in notes if one != line)


def test_a_run_with_random_weights_alone_has_one_column(build) -> None:
    results = build()
    assert table(results)[0][-1] == "random"
    assert not has_trained(results)


def test_trained_weights_may_stand_alone(build) -> None:
    def edit(line):
        found = twice(line)
        return found[1] if isinstance(found, list) else found

    rows = table(build(edit=edit, described=[described("nv@speech", WEIGHTS)]))
    assert rows[1][:2] == ["wavenet:nv@speech", "fixed_point"]
    assert rows[1][3] == "—"
    assert rows[1][4] != "—"


def test_all_of_a_row_is_of_one_size(build) -> None:
    def edit(line):
        """Trained weights were counted at larger sizes than random ones."""
        found = twice(line)
        return found[1:] if isinstance(found, list) and line.n > 512 else found

    results = build(edit=edit, described=[described("nv", None), described("nv@speech", WEIGHTS)])
    nfe = {
        c.preset: c.nfe for c in results.cases.values() if (c.model, c.method, c.n) == ("wavenet", "fixed_point", 512)
    }
    both = [f"{nfe[preset] / 512:.3g}" for preset in ("nv", "nv@speech")]
    assert table(results)[1][2:] == ["512", *both]


def test_a_training_that_has_not_ended_has_no_held_out_bits(build) -> None:
    begun = msgspec.structs.replace(WEIGHTS, held_out=False, elements=0)
    notes = passes_table(build(edit=twice, described=[described("nv@speech", begun)])).notes
    assert notes[1].endswith("3.71 bits per audio sample, of a training that has not ended")


def test_what_may_be_wrong_is_left_out(build) -> None:
    inexact = {"status": "inexact", "error": "wrong"}

    def edit(line):
        broken = isinstance(line, Case) and line.method == "fixed_point"
        return msgspec.structs.replace(line, **inexact) if broken else line

    assert passes_table(build(edit=edit)) is None


def test_a_file_of_weights_is_neither_random_nor_known(build) -> None:
    results = build()
    results.run.plan["options"] = {"weights": "mine.safetensors"}
    assert passes_table(results) is None


def test_the_answer_says_what_trained_weights_are(both) -> None:
    said = {one.model: " ".join(one.sentences) for one in answers(both)}
    assert "Weights are random" not in said.get("wavenet:nv@speech", "")
    assert "Passes that an element needs" in summary(both)
