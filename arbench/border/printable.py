r"""Text of others, made safe to print: a name or an error may contain anything.

What a terminal obeys, an XML document forbids, a reader cannot see or UTF-8 cannot encode is spelled out: the control
character that starts an escape sequence becomes the six characters ``\u001b``. JSON spells it the same way, so JSON
text stays valid, and means the same. The joiners of emoji and of Persian or Indic words (U+200C, U+200D) stay.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_UNPRINTABLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tab and newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of text: what follows reads as something else
    "\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff"  # further ends of lines, marks within text, no characters
    "\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # without a width
    "\u115f\u1160\u3164\uffa0\U000e0000-\U000e007f"  # letters that are blank, and tags
    "\ud800-\udfff"  # halves of a pair: bytes of a path that are not UTF-8
    "]"
)
_HALVES = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """Return text without characters that act on a terminal or a document; tabs and newlines stay."""
    return _UNPRINTABLE.sub(_spelled, text)


def on_one_line(text: object) -> str:
    """Return printable text in which tabs and newlines are spelled out too: the name of something, or an error."""
    return re.sub(r"[\t\n]", _spelled, printable(str(text)))


def encodable(text: str) -> str:
    """Return text that UTF-8 can encode; nothing but halves of surrogate pairs is spelled out."""
    return _HALVES.sub(_spelled, text)


def to_json(value: Any) -> bytes:
    """Return a value as JSON, whatever its text contains."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(encodable_within(msgspec.to_builtins(value)))


def encodable_within(value: Any) -> Any:
    """Return plain data in which UTF-8 can encode every text, as ``encodable`` spells it, keys included.

    Raises RecursionError for data of hundreds of levels.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable_within(name): encodable_within(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encodable_within(inner) for inner in value]
    return value


def _spelled(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
