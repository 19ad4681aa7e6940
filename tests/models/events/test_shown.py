"""Events as what they are: the picture, sound or text of the data comes back from what ``observe`` makes of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from arbench.border.shown import BY_NUMBER, UNKNOWN, Picture, Sound, Text
from arbench.data import WORDS, Audio, mu_law_encode, transcripts
from arbench.models import Source, names, resolve
from arbench.models.events.images import Images, ImageSource
from arbench.models.events.ordered import OrderedPixels

BUILT = [f"{name}:{p}" for name in names() for p in resolve(name).cls.presets if p.startswith("tiny")]
MORE = ["pixelcnn:digits", "grouped_pixelcnn:digits_g16", "grouped_pixelcnn:digits_multiscale", "factorised:rgb"]
MORE += ["multiscale_pixelcnn:digits", "made:tiny,order=random", "maf:tiny,order=reverse", "iaf:tiny,order=random"]


@cache
def built(spec: str) -> Source:
    return resolve(spec).build()


def of_pictures(spec: str) -> bool:
    source = built(spec)
    return isinstance(getattr(source, "events", source), ImageSource)


PICTURES = [spec for spec in [*BUILT, *MORE] if of_pictures(spec)]


def test_all_models_of_images_are_here() -> None:
    assert {spec.partition(":")[0] for spec in PICTURES} == {
        *("pixelcnn", "pixelcnnpp", "pixelsnail", "factorised", "grouped_pixelcnn", "multiscale_pixelcnn"),
        *("made", "maf", "iaf", "row_lstm", "transformer"),
    }


@pytest.mark.parametrize("spec", PICTURES)
def test_a_picture_comes_back_from_its_event(spec: str) -> None:
    """No two lines, columns or colours of these pictures are equal, so that no other order gives the same."""
    source = built(spec)
    events = getattr(source, "events", source)
    n = source.natural()
    side = events.side(n)
    draw = np.random.default_rng(5)
    pictures = [draw.integers(events.levels, size=(side, side, events.colours)) for _ in range(3)]
    for row, one in enumerate(pictures):
        x, _ = source.observe(n, [row], 7, Images([one], events.levels, [4]))
        (found,) = source.shown(x)
        assert isinstance(found, Picture)
        assert found.levels == events.levels
        assert np.array_equal(found.values, one)


@pytest.mark.parametrize("spec", [spec for spec in PICTURES if isinstance(built(spec), OrderedPixels)])
def test_pixels_that_an_event_does_not_reach_are_unknown(spec: str) -> None:
    source = built(spec)
    assert isinstance(source, OrderedPixels)
    side = source.side(source.pixels)
    one = np.random.default_rng(5).integers(source.levels, size=(side, side, 1))
    x, _ = source.observe(5, [0], 7, Images([one], source.levels))
    (found,) = source.shown(x)
    known = source.order[:5]
    assert isinstance(found, Picture)
    assert np.array_equal(found.values.ravel()[known], one.ravel()[known])
    assert (np.delete(found.values.ravel(), known) == UNKNOWN).all()


@pytest.mark.parametrize(
    ("spec", "side"),
    [("pixelcnn:digits", 8), ("multiscale_pixelcnn:digits", 8), ("pixelcnnpp:tiny", 8), ("made:tiny", None)],
)
def test_the_natural_picture_is_as_large_as_a_digit(spec: str, side: int | None) -> None:
    source = built(spec)
    assert isinstance(source, ImageSource)
    if side is None:
        assert isinstance(source, OrderedPixels)
        side = source.side(source.pixels)
    (found,) = source.shown(source.observe(source.natural(), [0], 0)[0])
    assert isinstance(found, Picture)
    assert found.values.shape[:2] == (side, side)


def test_the_natural_picture_is_as_large_as_those_of_the_data() -> None:
    large = [np.zeros((28, 30, 1), np.uint8)]
    assert built("pixelcnn:digits").natural(large) == 28 * 28
    assert built("pixelcnn:digits").natural(Images(large, 256)) == 28 * 28
    assert built("multiscale_pixelcnn:digits").natural(large) == 16 * 16  # 2x2 pixels, doubled
    assert built("pixelcnn:digits").natural([np.zeros((500, 400, 1), np.uint8)]) == 32 * 32


@pytest.mark.parametrize(
    ("spec", "step"),
    [
        ("wavenet:nv,local=0,layers=1", None),
        ("wavenet:tiny_gaussian,local=0", 0.0),
        ("parallel_wavenet:tiny,local=0", 0.0),
        ("wavenet:tiny_logistic,levels=65536", 2.0**-15),
    ],
)
def test_a_sound_comes_back_up_to_the_rounding_of_its_levels(spec: str, step: float | None) -> None:
    source = built(spec)
    clip = np.sin(np.arange(400) / 7).astype(np.float32) * np.linspace(0, 1, 400, dtype=np.float32)
    x, _ = source.observe(400, [0], 0, [Audio(clip, 16000)])
    (found,) = source.shown(x)
    assert isinstance(found, Sound)
    assert (found.rate, found.samples.dtype) == (16000.0, np.float32)
    if step is None:
        assert np.array_equal(mu_law_encode(found.samples), mu_law_encode(clip))
        assert np.abs(found.samples - clip).max() < 0.03
    else:
        assert np.abs(found.samples - clip).max() <= step


def test_real_amplitudes_that_a_draw_puts_beyond_the_range_are_clipped() -> None:
    for spec in ("wavenet:tiny_gaussian", "parallel_wavenet:tiny"):
        (found,) = built(spec).shown(torch.tensor([[0.5, 3.0, -1.5]], dtype=torch.float64))
        assert isinstance(found, Sound)
        assert found.samples.tolist() == [0.5, 1.0, -1.0]


def test_bytes_are_read_as_text_and_what_is_none_is_spelled_out() -> None:
    source = built("lstm:tiny,levels=256")
    said = "Grüße\tan alle\n"
    x, _ = source.observe(len(said.encode()), [0], 0, said)
    assert source.shown(x) == [Text(said)]
    assert source.shown(torch.tensor([[27, 65, 0xFF, 66]])) == [Text("\\u001bA\\xffB")]


def test_few_levels_are_symbols_by_their_numbers() -> None:
    source = built("lstm:tiny")
    x, _ = source.observe(6, [0], 0, "aaabbc" * 2)
    (found,) = source.shown(x)
    assert found == Text(" ".join(map(str, x[0].tolist())), BY_NUMBER)


def test_a_translation_ends_at_its_end() -> None:
    pairs = (("two words", "zwei Wörter"), ("one", "eins"))
    for spec in ("seq2seq:tiny,levels=256", "nmt_teacher:tiny,levels=256,source_levels=256"):
        source = built(spec)
        part = source.divide(pairs, 0.5)
        shown = set()
        for one in part:
            n = source.natural(one)
            x, context = source.observe(n, [0], 0, one)
            (target,), (sentence,) = source.shown(x), source.told(context)["source"]
            assert n == max(len(text.encode()) for pair in pairs for text in pair if sentence.text in pair) + 1
            shown.add((sentence.text, target.text))
        assert shown == set(pairs)


def test_a_parallel_translation_is_shown_without_its_fertilities() -> None:
    source = built("parallel_nmt:tiny,levels=256,fertilities=9")
    part = source.divide((("two", "zwei"), ("one", "eins")), 0.5)[0]
    x, context = source.observe(source.natural(part), [0], 0, part)
    (target,), (sentence,) = source.shown(x), source.told(context)["source"]
    assert (sentence.text, target.text) in (("two", "zwei"), ("one", "eins"))
    assert source.intractable


def test_words_and_phonemes() -> None:
    source = built("seq2seq:g2p")
    data = (("Fox", "F AA1 K S"),)
    assert source.natural(data) == 5
    x, context = source.observe(9, [0], 0, data)
    assert source.shown(x) == [Text("F AA1 K S")]
    assert source.told(context) == {"source": [Text("fox")]}


def test_a_digit_is_told_by_its_word_and_a_word_by_its_digit() -> None:
    small = "layers=1,width=8,heads=1,hidden=8,encoder_layers=1"
    source = built(f"transformer:digit_from_word,{small}")
    x, context = source.observe(source.natural(), [0], 0)
    (picture,), (word,) = source.shown(x), source.told(context)["source"]
    source = built(f"transformer:word_from_digit,{small}")
    x, context = source.observe(source.natural(), [0], 0)
    (name,), (digit,) = source.shown(x), source.told(context)["source"]
    assert isinstance(picture, Picture)
    assert isinstance(digit, Picture)
    assert np.array_equal(picture.values, digit.values)
    assert word == name
    assert isinstance(word, Text)
    assert word.text in WORDS


def test_speech_is_told_by_the_text_that_is_spoken() -> None:
    source = built("transformer:audio_from_text,layers=1,width=8,heads=1,hidden=8,encoder_layers=1")
    x, context = source.observe(source.natural(), [0], 0)
    (sound,), (text,) = source.shown(x), source.told(context)["source"]
    assert isinstance(sound, Sound)
    assert len(sound.samples) == sound.rate == 16000
    assert isinstance(text, Text)
    assert any(text.text in said for said in transcripts().values())


def test_labels_are_told_by_number() -> None:
    source = built("factorised:tiny")
    _, context = source.observe(64, [0, 1], 0)
    assert source.told(context) == {"class": context["class"].tolist()}


def test_a_model_of_ones_own_shows_numbers() -> None:
    class Own(type(built("lstm:tiny"))):  # type: ignore[misc]
        shown, natural = Source.shown, Source.natural

    source = Own(**resolve("lstm:tiny").config)
    assert source.shown(torch.tensor([[2, 0]])) == [Text("2 0", BY_NUMBER)]
    assert source.shown(torch.tensor([[0.5, -2.0]])) == [Text("0.5 -2", BY_NUMBER)]
    assert source.natural() == 512
