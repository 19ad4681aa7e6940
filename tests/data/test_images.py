"""Images: digits, mosaics, PNG files, and files that are refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from arbench.data import DataError, digits, load_images, mosaic, rescale

WANTED = "wanted a PNG file or a folder of them"


def message(path: Path, **how) -> str:
    with pytest.raises(DataError) as caught:
        load_images(path, **how)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    return text.removeprefix(f"{path}: ")


def pixels(height: int, width: int, channels: int) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def png(depth: int, kind: int, row: bytes) -> bytes:
    """Return a PNG of one pixel, which Pillow cannot write with 2, 4 or 16 bits.

    Args:
        depth: bits of a channel.
        kind: 0 for grey, 2 for RGB.
        row: the bytes of the pixel.
    """

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 1, 1, depth, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class TestDigits:
    def test_are_the_uci_digits(self) -> None:
        images = digits()
        assert images.shape == (1797, 8, 8)
        assert images.dtype == np.uint8
        assert images.min() == 0
        assert images.max() == 16
        np.testing.assert_array_equal(images, load_digits().images)

    def test_may_be_written_to(self) -> None:
        digits()[:] = 0
        assert digits().max() == 16


class TestMosaic:
    def test_is_made_of_whole_digits_where_it_is_not_cropped(self) -> None:
        known = {digit.tobytes() for digit in digits().astype(np.int64)}
        picture = mosaic(20, 30, 3, seed=1, levels=17)
        assert picture.shape == (20, 30, 3)
        assert picture.dtype == np.int64
        tiles = [
            np.ascontiguousarray(picture[y : y + 8, x : x + 8, c]).tobytes()
            for y in (0, 8)
            for x in (0, 8, 16)
            for c in range(3)
        ]
        assert set(tiles) <= known
        assert len(set(tiles)) > 12

    @pytest.mark.parametrize("size", [(1, 1, 1), (8, 8, 1), (9, 7, 3), (32, 32, 3)])
    def test_has_the_size_asked_for(self, size: tuple[int, int, int]) -> None:
        assert mosaic(*size).shape == size

    def test_is_drawn_by_its_seed(self) -> None:
        np.testing.assert_array_equal(mosaic(32, 32, 3, seed=5), mosaic(32, 32, 3, seed=5))
        assert (mosaic(32, 32, 3, seed=5) != mosaic(32, 32, 3, seed=6)).any()

    def test_channels_differ(self) -> None:
        picture = mosaic(16, 16, 2)
        assert (picture[..., 0] != picture[..., 1]).any()

    @pytest.mark.parametrize("levels", [2, 4, 17, 256])
    def test_uses_all_of_its_levels(self, levels: int) -> None:
        picture = mosaic(64, 64, levels=levels)
        assert picture.min() == 0
        assert picture.max() == levels - 1
        assert len(np.unique(picture)) == min(levels, 17)

    @pytest.mark.parametrize("size", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
    def test_refuses_an_empty_size(self, size: tuple[int, int, int]) -> None:
        with pytest.raises(ValueError, match="sizes must be at least 1"):
            mosaic(*size)


class TestRescale:
    def test_is_linear_with_halves_up(self) -> None:
        np.testing.assert_array_equal(rescale(np.arange(5), 5, 3), [0, 1, 1, 2, 2])
        np.testing.assert_array_equal(rescale(np.arange(3), 3, 256), [0, 128, 255])
        np.testing.assert_array_equal(rescale(np.arange(7), 7, 7), np.arange(7))

    def test_does_not_overflow_bytes(self) -> None:
        assert rescale(np.array([255], np.uint8), 256, 65_536) == 65_535

    @pytest.mark.parametrize(("levels", "to"), [(1, 5), (5, 1)])
    def test_refuses_a_single_level(self, levels: int, to: int) -> None:
        with pytest.raises(ValueError, match="levels must be at least 2"):
            rescale(np.zeros(3, int), levels, to)


class TestLoad:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_reads_grey_and_colour(self, tmp_path: Path, channels: int) -> None:
        expected = pixels(5, 7, channels)
        Image.fromarray(expected).save(tmp_path / "a.png")
        (image,) = load_images(str(tmp_path / "a.png"))
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, expected.reshape(5, 7, channels))
        image[:] = 0  # the caller may write

    def test_reads_bilevel_and_palette(self, tmp_path: Path) -> None:
        Image.fromarray(pixels(4, 4, 1) > 127).save(tmp_path / "a.png")
        (image,) = load_images(tmp_path / "a.png")
        np.testing.assert_array_equal(image[..., 0], np.where(pixels(4, 4, 1) > 127, 255, 0))
        palette = Image.new("P", (3, 2), 1)
        palette.putpalette([0, 0, 0, 10, 20, 30])
        palette.save(tmp_path / "b.png")
        (image,) = load_images(tmp_path / "b.png")
        np.testing.assert_array_equal(image, np.tile([10, 20, 30], (2, 3, 1)))

    @pytest.mark.parametrize(("depth", "row", "level"), [(1, b"\x80", 255), (2, b"\x40", 85), (4, b"\x50", 85)])
    def test_stretches_fewer_bits_over_all_levels(self, tmp_path: Path, depth: int, row: bytes, level: int) -> None:
        (tmp_path / "a.png").write_bytes(png(depth, 0, row))
        (image,) = load_images(tmp_path / "a.png")
        assert image.tolist() == [[[level]]]

    def test_reads_a_folder_in_order_of_names(self, tmp_path: Path) -> None:
        Image.fromarray(pixels(4, 6, 3)).save(tmp_path / "b.PNG")
        Image.fromarray(pixels(3, 5, 3)).save(tmp_path / "a.png")
        (tmp_path / "c.jpg").write_bytes(b"ignored")
        assert [image.shape for image in load_images(tmp_path)] == [(3, 5, 3), (4, 6, 3)]


class TestRefuses:
    def test_missing_empty_and_folders(self, tmp_path: Path) -> None:
        assert message(tmp_path / "a.png") == f"does not exist; {WANTED}"
        assert message(tmp_path) == f"is a folder without .png files; {WANTED}"
        (tmp_path / "a.png").touch()
        assert message(tmp_path / "a.png") == f"is empty; {WANTED}"

    @pytest.mark.parametrize("content", [b"hello", bytes(999)])
    def test_not_a_png(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.png").write_bytes(content)
        assert message(tmp_path / "a.png") == f"is not a PNG; {WANTED}"

    def test_a_jpeg_under_a_false_name(self, tmp_path: Path) -> None:
        Image.fromarray(pixels(8, 8, 3)).save(tmp_path / "a.jpg")
        (tmp_path / "a.jpg").rename(tmp_path / "a.png")
        assert message(tmp_path / "a.png") == f"is not a PNG; {WANTED}"

    @pytest.mark.parametrize("kept", [20, 40, 100, 3000])
    def test_truncated(self, tmp_path: Path, kept: int) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(pixels(64, 64, 3)).save(path)
        assert path.stat().st_size > 4000
        path.write_bytes(path.read_bytes()[:kept])
        text = message(path)
        assert text.startswith(("is a broken PNG (", "is not a PNG;"))
        assert text.endswith(WANTED)

    def test_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(pixels(64, 64, 3)).save(path)
        data = bytearray(path.read_bytes())
        start = data.index(b"IDAT")
        data[start + 50 : start + 90] = bytes(40)
        path.write_bytes(data)
        assert message(path).startswith("is a broken PNG (")

    def test_too_small(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(pixels(8, 9, 1)).save(path)
        assert len(load_images(path, at_least=(8, 9))) == 1
        assert message(path, at_least=(9, 9)) == ("is too small: 8 x 9 pixels; wanted at least 9 x 9")
        assert "at least 8 x 10" in message(path, at_least=(8, 10))

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
    def test_other_kinds_of_pixel(self, tmp_path: Path, mode: str) -> None:
        Image.new(mode, (4, 4)).save(tmp_path / "a.png")
        assert message(tmp_path / "a.png") == (
            f"is a PNG of mode {mode}; wanted 8-bit grey or RGB without transparency"
        )

    def test_colours_of_16_bits_are_not_cut_to_8(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(png(16, 2, struct.pack(">3H", 0x1234, 0x0100, 0x01FF)))
        said = "is a PNG of mode RGB with 16 bits per channel; wanted 8-bit grey or RGB without transparency"
        assert message(path) == said

    def test_an_animation(self, tmp_path: Path) -> None:
        first, second = (Image.fromarray(pixels(4, 4, 3) // part) for part in (1, 2))
        first.save(tmp_path / "a.png", save_all=True, append_images=[second])
        said = "is an animation of 2 frames; wanted a still image (save one frame)"
        assert message(tmp_path / "a.png") == said

    def test_a_transparent_palette(self, tmp_path: Path) -> None:
        Image.new("P", (4, 4)).save(tmp_path / "a.png", transparency=0)
        assert message(tmp_path / "a.png").endswith("wanted 8-bit grey or RGB without transparency")

    def test_grey_beside_colour(self, tmp_path: Path) -> None:
        Image.fromarray(pixels(4, 4, 3)).save(tmp_path / "a.png")
        Image.fromarray(pixels(4, 4, 1)).save(tmp_path / "b.png")
        with pytest.raises(DataError, match=r"b\.png: has 1 channels; wanted 3, as in the files"):
            load_images(tmp_path)
