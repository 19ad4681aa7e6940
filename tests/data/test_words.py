"""Names of digits as symbols."""

import numpy as np
import pytest

from arbench.data import LONGEST_WORD, WORDS, word_symbols


def test_a_word_is_its_bytes_and_an_end() -> None:
    assert word_symbols(7).tolist() == list(b"seven")
    assert word_symbols(0, 7).tolist() == [*b"zero", 0, 0, 0]
    assert word_symbols(3, 2).tolist() == list(b"th")
    assert word_symbols(6, 0).shape == (0,)
    assert word_symbols(1).dtype == np.int64


def test_ten_words_are_ten_rows() -> None:
    rows = np.stack([word_symbols(label) for label in range(10)])
    assert rows.shape == (10, LONGEST_WORD)
    assert [bytes(row[row > 0].tolist()).decode() for row in rows] == list(WORDS)


def test_fewer_levels_keep_the_commonest_letter() -> None:
    assert word_symbols(3, 6, levels=3).tolist() == [2, 2, 2, 1, 1, 0]  # three: the letter e, and others
    assert all(0 <= s < 4 for label in range(10) for s in word_symbols(label, levels=4))


def test_refuses_what_is_no_digit_and_too_few_levels() -> None:
    with pytest.raises(ValueError, match="digits are 0 to 9, got 10"):
        word_symbols(10)
    with pytest.raises(ValueError, match="levels must be at least 2"):
        word_symbols(1, levels=2)
