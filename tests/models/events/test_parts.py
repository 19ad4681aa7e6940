"""Parts of the data: what is held out is not trained on, and pieces score each element once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arbench.data import Audio, DataError, digits, speech
from arbench.models import resolve
from arbench.models.events.windows import windows

MODELS = ["wavenet:tiny", "lstm:tiny", "transformer:tiny", "pixelcnn:tiny_class", "made:tiny", "nmt_teacher:tiny"]
TRANSLATIONS = (("one", "eins"), ("two", "zwei"), ("three", "drei"), ("four", "vier"))
TWENTY = tuple((f"{letter}{source}", target) for letter in "abcde" for source, target in TRANSLATIONS)


def built(spec, dtype=torch.float64):
    return resolve(spec).build(0, dtype)


@pytest.mark.parametrize("length", [1, 7, 20, 21, 100])
@pytest.mark.parametrize(("n", "prefix"), [(7, 0), (20, 5), (5, 4)])
def test_windows_score_each_element_once(length, n, prefix):
    scored = []
    for begin, end, first in windows(length, n, prefix):
        assert end - begin <= n
        assert first == (min(prefix, begin + first) if begin + first else 0)
        scored += range(begin + first, end)
    assert scored == list(range(length))


def test_a_window_cannot_repeat_all_of_the_one_before():
    with pytest.raises(ValueError, match="cannot repeat 5"):
        next(windows(9, 5, 5))


def test_each_recording_s_end_is_held_out():
    model = built("wavenet:tiny")
    rest, held_out = model.divide()
    joined = np.concatenate([part for pair in zip(rest, held_out, strict=True) for part in (p.samples for p in pair)])
    assert np.array_equal(joined, speech().samples)
    assert [len(b.samples) / (len(a.samples) + len(b.samples)) for a, b in zip(rest, held_out, strict=True)] == (
        pytest.approx([0.15] * 5, abs=1e-4)
    )


def test_the_pieces_of_speech_are_its_samples_with_the_voice():
    model = built("wavenet:tiny")
    parts = [Audio(np.linspace(-0.5, 0.5, length, dtype=np.float32), 16000) for length in (10, 25)]
    heard = []
    for piece in model.pieces(parts, 10, 3):
        x, context = model.observe(piece.n, [5], 3, piece.data)
        assert x.shape == (1, piece.n)
        assert context["global"].tolist() == [piece.part]
        heard += [(piece.part, int(level)) for level in x[0, piece.first :]]
    for part, recording in enumerate(parts):
        whole, _ = model.observe(len(recording.samples), [0], 0, [recording])
        assert [level for number, level in heard if number == part] == whole[0].tolist()


@pytest.mark.parametrize("spec", ["lstm:tiny", "transformer:tiny"])
def test_the_parts_of_a_text_name_its_bytes_alike(spec):
    model = built(spec)
    text = "abracadabra " * 30 + "xyz"
    rest, held_out = model.divide(text)
    assert len(rest) == 9 * len(held_out) or len(rest) == int(0.9 * len(text))
    whole, _ = model.observe(len(text), [0], 0, text)
    assert np.concatenate([rest, held_out]).tolist() == whole[0].tolist()
    again = [model.observe(p.n, [0], 0, p.data)[0][0, p.first :] for p in model.pieces(held_out, 7, 2)]
    assert torch.cat(again).tolist() == held_out.tolist()


def test_the_digits_are_divided_with_their_labels():
    model = built("pixelcnn:class_conditional")
    rest, held_out = model.divide()
    assert (len(rest.pictures), len(held_out.pictures)) == (1438, 359)
    both = np.stack([*rest.pictures, *held_out.pictures])[..., 0]
    assert sorted(one.tobytes() for one in both) == sorted(one.tobytes() for one in digits())
    piece = next(iter(model.pieces(held_out, 64)))
    x, context = model.observe(64, [3], 9, piece.data)
    assert x[0].tolist() == held_out.pictures[0].reshape(-1).tolist()
    assert context["class"].tolist() == [held_out.labels[0]]


def test_images_of_the_user_s_are_cut_into_tiles():
    model = built("pixelcnn:tiny_columns")
    pictures = [np.full((8, 4, 1), shade, dtype=np.uint8) for shade in (0, 255, 0, 255)]
    rest, held_out = model.divide(pictures, 0.5)
    assert len(rest.pictures) == len(held_out.pictures) == 2
    assert [piece.part for piece in model.pieces(held_out, 16)] == [0, 0, 1, 1]
    with pytest.raises(DataError, match="none is 6x6 pixels or larger; the largest square is 4"):
        model.observe(36, [0], 0, held_out)


def test_tiles_that_do_not_cover_an_image_are_refused():
    model = built("pixelcnn:tiny_columns")
    _, held_out = model.divide([np.zeros((28, 28, 1), dtype=np.uint8)] * 2, 0.5)
    why = "an image: has 28x28 pixels, which tiles of 8x8 do not cover; choose --n 49 or 196 or 784, or cut"
    with pytest.raises(DataError, match=why):
        list(model.pieces(held_out, 64))
    assert len(list(model.pieces(held_out, 196))) == 4


def test_a_pair_is_an_event_of_its_own():
    model = built("nmt_teacher:small")
    rest, held_out = model.divide(TWENTY)
    assert (len(rest), len(held_out)) == (18, 2)
    for piece in model.pieces(rest, 8):
        x, context = model.observe(8, [0], 0, piece.data)
        pair = tuple(bytes(side[0][side[0] > 0].tolist()).decode() for side in (context["source"], x))
        assert pair in TWENTY
        assert model.counted(x)[0].tolist() == [k <= len(pair[1]) for k in range(8)]
    assert len(list(model.pieces(rest, 5))) == sum(len(a) < 5 for a in rest.sources)  # the ends need a symbol
    with pytest.raises(DataError, match="none fits into an event of 3 symbols; the shortest needs 5"):
        model.observe(3, [0], 0, rest)


def test_no_source_is_both_trained_on_and_held_out():
    model = built("nmt_teacher:small")
    twice = [(source, target + more) for source, target in TWENTY for more in ("", "!")]
    for data, pairs in ((None, 2546), (tuple(twice), 40)):
        rest, held_out = model.divide(data)
        assert len(rest) + len(held_out) == pairs
        assert not {one.tobytes() for one in rest.sources} & {one.tobytes() for one in held_out.sources}
    assert len(held_out) == 4


@pytest.mark.parametrize(
    ("spec", "unit"),
    [
        ("wavenet:unconditional", "bits per audio sample of 256 mu-law levels"),
        ("wavenet:nv", "bits per audio sample of 256 mu-law levels, given its mel frames"),
        ("wavenet:tiny", "bits per audio sample of 4 mu-law levels, given its mel frames and its voice"),
        ("wavenet:tiny_gaussian", "bits per audio sample of 16 bits, dequantised, given its mel frames"),
        ("wavenet:tiny_gaussian,local=0", "bits per audio sample of 16 bits, dequantised"),
        ("lstm:tiny", "bits per byte of 4 levels"),
        ("lstm:small", "bits per byte"),
        ("nmt_teacher:tiny", "bits per symbol of 4 levels"),
        ("parallel_nmt:tiny", "bits per symbol of 4 levels or fertility, of both together"),
        ("seq2seq:g2p", "bits per phoneme"),
        ("pixelcnn:digits", "bits per pixel of 17 levels"),
        ("pixelcnn:class_conditional", "bits per pixel of 17 levels, given its class"),
        ("made:digits", "bits per pixel of 17 levels"),
        ("maf:digits", "bits per pixel, a density over logits of 17 levels"),
    ],
)
def test_bits_that_do_not_compare_have_other_units(spec, unit):
    assert resolve(spec).build().unit == unit


@pytest.mark.parametrize("spec", MODELS)
def test_events_of_a_part_come_from_it(spec):
    model = built(spec)
    n = 16 if "made" in spec else 36
    rest, held_out = model.divide()
    x, _ = model.observe(n, [0, 1], 0, held_out)
    assert x.shape == (2, n)
    again, _ = model.observe(n, [1], 0, held_out)
    assert torch.equal(x[1], again[0])
    other, _ = model.observe(n, [0, 1], 0, rest)
    assert not torch.equal(x, other)


@pytest.mark.parametrize("spec", ["transformer:word_from_digit", "transformer:audio_from_text"])
def test_a_kind_that_cannot_be_divided_says_so(spec):
    with pytest.raises(NotImplementedError, match="does not divide its data"):
        built(f"{spec},layers=1,encoder_layers=1,width=8,hidden=8,heads=1").divide()


@pytest.mark.parametrize(
    ("spec", "data"),
    [
        ("lstm:tiny", "a"),
        ("nmt_teacher:tiny", (("a", "b"),)),
        ("wavenet:tiny", [Audio(np.zeros(1, np.float32), 16000)]),
    ],
)
def test_too_little_data_is_refused(spec, data):
    with pytest.raises(DataError, match="to divide"):
        built(spec).divide(data)
