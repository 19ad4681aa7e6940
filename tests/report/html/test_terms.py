"""The glossary."""

from __future__ import annotations

from arbench.methods import METHODS
from arbench.report.html.terms import term_of, terms, used_terms


def test_every_term_has_an_id_of_its_own_and_a_text() -> None:
    anchors = [one.anchor for one in terms().values()]
    assert len(set(anchors)) == len(anchors) > 30
    assert all(one.text.endswith((".", "listener.")) and "\n" not in one.text for one in terms().values())


def test_a_term_is_found_in_any_letters_and_under_its_other_titles() -> None:
    assert term_of("Depth") is term_of("depth") is not None
    assert term_of("work exponent") is term_of("exponent") is not None
    assert term_of("method") is None


def test_every_method_is_explained() -> None:
    assert {method.name for method in METHODS if term_of(method.name) is None} == set()


def test_only_the_terms_of_a_page_are_in_its_glossary() -> None:
    html = '<button popovertarget="about-term-nfe">?</button> <button popovertarget="about-term-depth">depth</button>'
    assert [one.name for one in used_terms(html)] == ["depth", "nfe"]
