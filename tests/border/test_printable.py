"""Text of others: what acts on a terminal or a document, or cannot be encoded, is spelled out."""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.border.printable import encodable, on_one_line, printable, to_json

anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü 漢 🎵\n\ttwo", "plain, ü 漢 🎵\n\ttwo"),
        ("\x1b[2J\x1b]0;title\x07", r"\u001b[2J\u001b]0;title\u0007"),
        ("over\rwritten\x08\x7f", r"over\u000dwritten\u0008\u007f"),
        ("\x9b31m\x85", r"\u009b31m\u0085"),
        ("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f"),
        ("b\udcff.py", r"b\udcff.py"),
        ("a\u200bb\u2060\u00ad\u180e\u3164", r"a\u200bb\u2060\u00ad\u180e\u3164"),
        ("tag\U000e0041", r"tag\udb40\udc41"),  # as JSON spells it
        ("👩\u200d👧 क्\u200cष", "👩\u200d👧 क्\u200cष"),
        ("\x00\ufffe\uffff\u2028", r"\u0000\ufffe\uffff\u2028"),
    ],
)
def test_what_acts_or_cannot_be_seen_is_spelled_out(text, shown):
    assert printable(text) == shown


@given(anything)
def test_printable_text_is_safe_everywhere(text):
    shown = printable(text)
    shown.encode()
    assert not [one for one in shown if unicodedata.category(one) in ("Cc", "Cs") and one not in "\n\t"]
    assert not [one for one in shown if unicodedata.bidirectional(one) in ("LRE", "RLE", "LRO", "RLO", "LRI", "RLI")]
    assert ET.fromstring(ET.tostring(element(shown), encoding="unicode")).text == (shown or None)
    assert printable(shown) == shown
    assert len(on_one_line(text).splitlines()) <= 1


def element(text: str) -> ET.Element:
    made = ET.Element("a")
    made.text = text
    return made


@given(anything)
def test_json_text_means_the_same_once_it_is_printable(text):
    raw = to_json({text: [text]})
    assert msgspec.json.decode(printable(raw.decode())) == {encodable(text): [encodable(text)]}


def test_half_a_pair_is_all_that_json_spells_out():
    class Line(msgspec.Struct, tag="line"):
        text: str
        more: tuple[str, ...]

    assert to_json(Line("\x1b\udcff", ("a",))) == rb'{"type":"line","text":"\u001b\\udcff","more":["a"]}'
    assert encodable("\x1b\udcff") == "\x1b\\udcff"
