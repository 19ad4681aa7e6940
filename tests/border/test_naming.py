"""Names of methods and models: settings belong to what stands before them, and trained weights follow an at sign."""

import pytest

from arbench.border.naming import (
    file_name,
    is_file,
    method_name,
    method_spec,
    split_method,
    split_methods,
    split_spec,
    split_weights,
    with_setting,
)


def test_a_part_with_an_equals_sign_belongs_to_the_method_before_it() -> None:
    assert split_methods("cached, fused,weights=bfloat16 ,threads=2,naive") == [
        "cached",
        "fused,weights=bfloat16,threads=2",
        "naive",
    ]
    assert split_methods("my.py:draw,sizes=[1, 2],a=b") == ["my.py:draw,sizes=[1, 2],a=b"]
    assert split_methods("a,,b") == ["a", "", "b"]


def test_settings_stand_in_the_order_of_their_keys() -> None:
    assert split_method("fused,weights = bfloat16,threads=2") == ("fused", "threads=2,weights=bfloat16")


@pytest.mark.parametrize(
    ("spec", "name", "place"),
    [
        ("cached", "cached", "cached"),
        ("fused,b=2,a=1", "fused,a=1,b=2", "fused,a=1,b=2"),
        ("there/my.py:draw", "my.draw", "there/my.py:draw"),
        ("a.package:draw,b=2,a=1", "package.draw,a=1,b=2", "a.package:draw,a=1,b=2"),
    ],
)
def test_the_name_of_a_method_is_the_same_wherever_its_file_is(spec: str, name: str, place: str) -> None:
    assert (method_name(spec), method_spec(spec)) == (name, place)


@pytest.mark.parametrize(
    ("spec", "model", "weights", "parts"),
    [
        ("wavenet", "wavenet", None, ("wavenet", "", "")),
        ("wavenet@speech", "wavenet", "speech", ("wavenet", "", "@speech")),
        ("wavenet@", "wavenet", "", ("wavenet", "", "@")),
        ("wavenet:nv,a=1@b.c/m@2", "wavenet:nv,a=1", "b.c/m@2", ("wavenet", "", "nv,a=1@b.c/m@2")),
        ("wavenet@./a.b", "wavenet", "./a.b", ("wavenet", "", "@./a.b")),
        ("me@home/my.py:Mine", "me@home/my.py:Mine", None, ("me@home/my.py", "Mine", "")),
        ("me@home/my.py:Mine:p@runs/1", "me@home/my.py:Mine:p", "runs/1", ("me@home/my.py", "Mine", "p@runs/1")),
        ("a.package:Mine@runs/1", "a.package:Mine", "runs/1", ("a.package", "Mine", "@runs/1")),
        ("my.py:Mine,a=b:1@runs/1", "my.py:Mine,a=b:1", "runs/1", ("my.py", "Mine", ",a=b:1@runs/1")),
        ("a.package:Mine:p,a=b:1", "a.package:Mine:p,a=b:1", None, ("a.package", "Mine", "p,a=b:1")),
    ],
)
def test_trained_weights_follow_an_at_sign(spec: str, model: str, weights: str | None, parts: tuple[str, ...]) -> None:
    assert split_weights(spec) == (model, weights)
    assert split_spec(spec) == parts


def test_a_setting_follows_those_before_it_and_stands_before_weights() -> None:
    known = ["wavenet", "wavenet:nv,a=1@b", "my.py:Net", "my.py:Net,a=1"]
    added = ["wavenet:,law=x:1", "wavenet:nv,a=1,law=x:1@b", "my.py:Net,law=x:1", "my.py:Net,a=1,law=x:1"]
    assert [with_setting(spec, "law=x:1") for spec in known] == added


def test_a_path_has_a_slash_or_the_ending_of_weights() -> None:
    assert [is_file(one) for one in ("speech", "./speech", "mine.safetensors", "v1.2")] == [False, True, True, False]


def test_file_names_are_plain_and_differ() -> None:
    assert file_name("PixelCNN++: 3 sizes!", ()) == "pixelcnn-3-sizes"
    assert file_name("a b", {"a-b", "a-b-2"}) == "a-b-3"
    assert file_name("漢", ()) == "figure"
