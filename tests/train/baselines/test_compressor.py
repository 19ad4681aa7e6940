from __future__ import annotations

import zlib

import numpy as np
import pytest

from arbench.train.baselines.compressor import COMPRESSORS, added_bits

NOISE = np.random.default_rng(0).integers(256, size=5000, dtype=np.uint8).tobytes()


def test_bits_are_what_the_held_out_part_adds() -> None:
    train, held_out = b"abcabc" * 20, NOISE[:700]
    assert added_bits(train, held_out)["zlib -9"] == 8 * (
        len(zlib.compress(train + held_out, 9)) - len(zlib.compress(train, 9))
    )


@pytest.mark.parametrize("name", COMPRESSORS)
def test_noise_costs_eight_bits_a_byte(name: str) -> None:
    assert added_bits(NOISE[:2000], NOISE[2000:])[name] / 3000 == pytest.approx(8, abs=0.4)


@pytest.mark.parametrize("name", ["xz -9e", "zlib -9"])
def test_what_the_training_part_has_costs_little(name: str) -> None:
    assert added_bits(NOISE, NOISE[:1000])[name] < 0.1 * 8000
