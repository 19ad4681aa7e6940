"""Ten colours, each in a tone for white paper and in one for a dark page.

They were searched for so that every one has a contrast of 3 to its background, and so that any two can be told apart
without one kind of cone: at least 0.08 in OKLab, where 0.02 is just seen, with the simulation of Machado, Oliveira and
Fernandes (2009). Marks differ in shape too.
"""

from __future__ import annotations

LIGHT = {
    "blue": "#053c99",
    "orange": "#c88223",
    "green": "#25846e",
    "red": "#c6513f",
    "pink": "#9a53ba",
    "brown": "#602000",
    "rose": "#980a63",
    "grey": "#929292",
    "yellow": "#5b5307",
    "sky": "#1d9ae4",
}
"""On white: in files of figures, and on a page in its light theme."""
DARK = {
    "blue": "#4480c9",
    "orange": "#fe960a",
    "green": "#5ec79a",
    "red": "#e8602c",
    "pink": "#bc8de3",
    "brown": "#9b5a34",
    "rose": "#efadd0",
    "grey": "#888888",
    "yellow": "#f5f072",
    "sky": "#b1e6ff",
}
"""On the dark theme of a page."""

LIGHT_TONES = {
    "tone-1": "#dde3ea",
    "tone-2": "#b9c4d0",
    "tone-3": "#8493a5",
    "tone-4": "#586a80",
    "tone-5": "#2a3a4d",
}
"""Tones of one hue for the parts of a whole, which are no methods, on white: the first is the closest to the paper."""
DARK_TONES = {
    "tone-1": "#2b323b",
    "tone-2": "#4a5664",
    "tone-3": "#71808f",
    "tone-4": "#9fadbb",
    "tone-5": "#d5dee8",
}
"""The same on the dark theme of a page."""
