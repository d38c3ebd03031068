"""The built-in handlers: what they make of good samples, what they say of bad ones, and that they ship."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from modelyard.serving.errors import HandlerError, InputError
from modelyard.serving.handlers import Chain, Handler, Place
from modelyard.testing import check_handler, write_small_project
from modelyard_plugins.handlers.argmax import argmax
from modelyard_plugins.handlers.audio_decode import audio_decode
from modelyard_plugins.handlers.ctc_greedy import ctc_greedy
from modelyard_plugins.handlers.nms import nms
from modelyard_plugins.handlers.normalize import normalize
from modelyard_plugins.handlers.softmax import softmax
from modelyard_plugins.handlers.table_encode import problems as problems_of_table
from modelyard_plugins.handlers.top_labels import top_labels

pytest.importorskip("PIL")
from PIL import Image


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_project(tmp_path_factory.mktemp("handlers") / "small")


def picture(form: str, pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def sound(samples: list[int], *, width: int = 2, channels: int = 1, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, width, rate, 0, "NONE", ""))
        signed = width > 1
        out.writeframes(b"".join(one.to_bytes(width, "little", signed=signed) for one in samples))
    return file.getvalue()


def bomb(side: int = 30_000) -> bytes:
    """Return a PNG of a few bytes that says it has as many rows, and columns."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


RED = np.full((8, 12, 3), (250, 10, 20), np.uint8)
JPEG = picture("JPEG", RED)


def run(handler: Handler, **samples: Sequence[Any] | np.ndarray) -> dict[str, np.ndarray]:
    return handler(Chain((handler,)).arrays(samples))


def test_a_row_of_a_table_becomes_numbers(project: Path) -> None:
    params = {
        "numbers": ["age", "fare"],
        "categories": {"sex": ["female", "male"], "class": [3, 1]},
        "missing": {"age": 30},
    }
    samples: dict[str, list[Any]] = {"age": [22, np.nan], "fare": [7.5, 70], "sex": ["male", ""], "class": [1, 2]}
    found = check_handler("table-encode", project=project, params=params, samples=samples)
    assert found["row"].tolist() == [[22, 7.5, 0, 1, 0, 1], [30, 70, 0, 0, 0, 0]]


def test_a_row_is_refused_for_a_gap_or_a_category_that_is_not_named(project: Path) -> None:
    given = {"age": 1.0, "sex": "male", "class": 1}
    params = {"numbers": ["age"], "categories": {"sex": ["female", "male"], "class": [1, 2]}, "unknown": "refuse"}
    refuses = [given | {"age": np.nan}, given | {"sex": "Male"}, given | {"class": 3}]
    check_handler(
        "table-encode",
        project=project,
        params=params,
        samples={name: [one] for name, one in given.items()},
        refuses=refuses,
    )


@pytest.mark.parametrize(
    ("params", "key", "why"),
    [
        ({}, "numbers", "no column is named"),
        ({"numbers": ("a", "a")}, "numbers", "the column 'a' is named twice"),
        ({"numbers": ("a",), "categories": {"a": ("x",)}}, "numbers", "the column 'a' is named twice"),
        ({"categories": {"a": ()}}, "categories", "'a' has no value"),
        ({"categories": {"a": ("x", "x")}}, "categories", "'a' has twice the same value"),
        ({"categories": {"a": ("1", 1)}}, "categories", "'a' has texts and whole numbers"),
        ({"numbers": ("a",), "missing": {"b": 1.0}}, "missing", "'b' is none of numbers"),
    ],
)
def test_columns_are_named_once_and_with_values_of_one_kind(params: dict[str, object], key: str, why: str) -> None:
    given = {"numbers": (), "categories": None, "missing": None, **params}
    assert [(one.key, one.why) for one in problems_of_table(None, **given)] == [(key, why)]  # type: ignore[arg-type]


def test_pictures_become_pixels(project: Path) -> None:
    found = check_handler(
        "image-decode",
        project=project,
        params={"size": [4, 4]},
        samples={"image": [JPEG, picture("PNG", RED), picture("PNG", RED[..., 0])]},
        refuses=[{"image": one} for one in (b"", b"no picture", JPEG[: len(JPEG) // 2], picture("GIF", RED), bomb())],
    )
    assert found["pixels"].shape == (3, 4, 4, 3)
    assert found["pixels"].dtype == np.uint8
    assert np.abs(found["pixels"][:2].astype(int) - (250, 10, 20)).max() <= 3
    assert (found["pixels"][2] == 250).all()


@pytest.mark.parametrize(("layout", "axis"), [("channels-last", -1), ("channels-first", 1)])
def test_pixels_are_brought_to_the_range_of_a_model(project: Path, layout: str, axis: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 3)).astype(np.uint8)
    mean, std = [10.0, 20.0, 30.0], [1.0, 2.0, 4.0]
    params = {"mean": mean, "std": std, "layout": layout}
    found = check_handler("normalize", project=project, params=params, samples={"pixels": pixels})["pixels"]
    assert found.dtype == np.float32
    wanted = (np.moveaxis(pixels, axis, -1) - np.array(mean)) / std
    np.testing.assert_allclose(np.moveaxis(found, axis, -1), wanted, rtol=1e-6)
    found = run(normalize(Place(), mean=(127.5,), std=(127.5,)), pixels=np.array([[[[0], [255]]]], np.uint8))["pixels"]
    assert found.ravel().tolist() == [-1, 1]


def test_axes_of_one_name_are_as_long_behind_a_handler_as_before() -> None:
    from modelyard_plugins.handlers.image_decode import image_decode

    before = (image_decode(Place(), size=(4, 6)), normalize(Place(), mean=(0.0,), std=(255.0,)))
    (pixels,) = Chain(before).model_inputs().values()
    assert (pixels.dtype, pixels.shape) == ("float32", (4, 6, 3))
    grey = (image_decode(Place(), size=(4, 6), colours="grey"), normalize(Place(), mean=(1.0, 2.0, 3.0), std=(1.0,)))
    with pytest.raises(
        HandlerError, match=r"takes 'pixels' as uint8, shape \(any, height, width, 3\), but the one before"
    ):
        Chain(grey).model_inputs()


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"mean": (1.0, 2.0), "std": (1.0, 2.0, 3.0)}, "3 beside 2 of mean"),
        ({"mean": (0.0,), "std": (0.0,)}, "0.0 divides nothing"),
        ({"mean": (), "std": (1.0,)}, "1 beside 0 of mean"),
    ],
)
def test_what_cannot_be_computed_with_is_told_at_load(params: dict[str, object], why: str) -> None:
    from modelyard_plugins.handlers.normalize import problems

    assert why in str(next(problems(None, **params)))  # type: ignore[arg-type]


def test_a_picture_that_says_it_is_huge_is_not_decoded(project: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_handler(
            "image-decode",
            project=project,
            params={"size": [2, 2]},
            samples={"image": [JPEG]},
            refuses=[{"image": JPEG}],
        )
    from modelyard_plugins.handlers.image_decode import image_decode

    with pytest.raises(InputError, match=r"^input 'image', sample 0: 6000 x 6000 pixels; at most 25000000 in all$"):
        run(image_decode(Place(), size=(2, 2)), image=[bomb(6_000)])
    with pytest.raises(InputError, match="900000000 pixels"):
        run(image_decode(Place(), size=(2, 2)), image=[bomb()])


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"colours": "grey"}, (4, 6, 1)),
        ({"layout": "channels-first"}, (3, 4, 6)),
        ({"fit": "crop"}, (4, 6, 3)),
        ({"fit": "pad"}, (4, 6, 3)),
    ],
)
def test_a_picture_is_fitted(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    from modelyard_plugins.handlers.image_decode import image_decode

    tall = np.zeros((20, 10, 3), np.uint8)
    tall[5:15] = 255
    found = run(image_decode(Place(), size=(4, 6), **options), image=[picture("PNG", tall)])["pixels"][0]
    assert found.shape == shape
    if options.get("fit") == "pad":
        assert (found[:, 0] == 0).all()
        assert found[2, 3].min() > 200
    if options.get("fit") == "crop":
        assert found.min() > 100


def test_a_picture_is_turned_as_its_camera_was_held() -> None:
    from modelyard_plugins.handlers.image_decode import image_decode

    pixels, turned = np.zeros((8, 8, 3), np.uint8), Image.Exif()
    pixels[:4] = 255
    turned[0x0112] = 3  # upside down
    found = run(image_decode(Place(), size=(8, 8)), image=[picture("JPEG", pixels, exif=turned)])["pixels"][0]
    assert found[:3].max() < 60
    assert found[5:].min() > 200


def test_texts_become_ids(project: Path, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    found = check_handler(
        "tokenize",
        project=project,
        params={"tokenizer": str(tmp_path / "tokenizer.json"), "length": 4, "dtype": "int32", "types": "types"},
        samples={"text": ["good bad", "bad bad new good good", ""]},
        refuses=[{"text": b"\xff\xfe"}],
    )
    assert found["input_ids"].tolist() == [[2, 3, 0, 0], [3, 3, 1, 2], [0, 0, 0, 0]]
    assert found["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert found["types"].dtype == np.int32
    ragged = check_handler(
        "tokenize",
        project=project,
        params={"tokenizer": str(tmp_path / "tokenizer.json"), "length": 4, "pad": False},
        samples={"text": ["good bad", "bad bad new good good", "bad"]},
        refuses=[{"text": ""}],
    )
    assert [one.tolist() for one in ragged["input_ids"]] == [[2, 3], [3, 3, 1, 2], [3]]
    assert [one.tolist() for one in ragged["attention_mask"]] == [[1, 1], [1, 1, 1, 1], [1]]


def test_sounds_become_samples(project: Path) -> None:
    half = [(1 << 14), -(1 << 14)]
    whole = sound(half)
    found = check_handler(
        "audio-decode",
        project=project,
        params={"rate": 8000, "length": 3},
        samples={
            "audio": [
                whole,
                sound([192, 64, 192, 64], width=1),
                sound([half[0], 0, half[1], 0], channels=2),
                sound([1 << 22, -(1 << 22)], width=3),
                sound([1 << 30, -(1 << 30)], width=4),
            ]
        },
        refuses=[{"audio": one} for one in (b"", whole[:20], whole[:-2], b"RIFF" + bytes(40), sound(half, rate=44100))],
    )
    assert found["samples"].tolist() == [
        [0.5, -0.5, 0],
        [0.5, -0.5, 0.5],
        [0.25, -0.25, 0],
        [0.5, -0.5, 0],
        [0.5, -0.5, 0],
    ]


def test_sounds_may_stay_as_long_as_they_are(project: Path) -> None:
    found = check_handler(
        "audio-decode",
        project=project,
        params={"rate": 8000, "length": 3, "pad": False},
        samples={"audio": [sound([1 << 14] * count) for count in (2, 1, 4)]},
        refuses=[{"audio": sound([])}],
    )
    assert [one.tolist() for one in found["samples"]] == [[0.5, 0.5], [0.5], [0.5, 0.5, 0.5]]


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize(("channel", "shape"), [("none", (3,)), ("first", (1, 3)), ("last", (3, 1))])
def test_a_sound_has_its_channel_where_the_model_wants_it(
    channel: Literal["none", "first", "last"], shape: tuple[int, ...], pad: bool
) -> None:
    handler = audio_decode(Place(), rate=8000, length=3, pad=pad, channel=channel, input="audio", output="samples")
    found = run(handler, audio=[sound([1 << 14, 1 << 13, 0, 0][: 2 if pad else 4])])["samples"]
    assert found.shape == (1, *shape)
    assert found.ravel().tolist() == [0.5, 0.25, 0]
    assert handler.gives[0].shape == shape if pad else tuple(axis if axis == 1 else "samples" for axis in shape)


def test_scores_become_probabilities() -> None:
    found = run(softmax(Place()), logits=np.array([[0, np.log(3)], [1000, 0]], np.float32))["probabilities"]
    assert found.round(6).tolist() == [[0.25, 0.75], [1, 0]]


def test_the_highest_scores_are_named(tmp_path: Path) -> None:
    scores = np.array([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]], np.float32)
    (tmp_path / "names.txt").write_text("ä\nb\nc\n", encoding="utf-8")
    place = Place({"probabilities": ("one", "two", "three")})
    first = run(top_labels(place), probabilities=scores)
    assert first["label"].tolist() == [b"two", b"one"]
    assert np.allclose(first["score"], [0.7, 0.4])
    assert np.array_equal(first["probabilities"], scores)
    both = run(top_labels(Place(), labels=str(tmp_path / "names.txt"), count=2), probabilities=scores)
    assert both["label"].tolist() == [[b"b", b"c"], ["ä".encode(), b"c"]]
    with pytest.raises(RuntimeError, match="there are 0 names for 3 scores"):
        run(top_labels(Place()), probabilities=scores)


def test_boxes_that_overlap_with_a_better_one_are_left_out() -> None:
    boxes = np.array([[[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [40, 40, 41, 41]]], np.float32)
    scores = np.array([[0.8, 0.9, 0.7, 0.2]], np.float32)
    found = run(nms(Place(), most=3), boxes=boxes, scores=scores)
    assert found["count"].tolist() == [2]
    assert found["boxes"][0].tolist() == [[1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 0, 0]]
    assert np.allclose(found["scores"][0], [0.9, 0.7, 0])
    classes = np.stack([scores, scores[:, ::-1]], axis=-1)
    assert run(nms(Place(), most=9), boxes=boxes, scores=classes)["classes"][0][:4].tolist() == [0, 1, 1, 0]
    centres = np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)
    same = run(nms(Place(), most=3, form="centres"), boxes=centres, scores=scores)
    assert np.array_equal(same["boxes"], found["boxes"])


def test_boxes_come_as_one_tensor_where_that_is_wanted() -> None:
    boxes = np.array([[[0, 0, 10, 10], [20, 20, 30, 30]], [[0, 0, 1, 1], [2, 2, 3, 3]]], np.float32)
    scores = np.array([[[0.1, 0.9], [0.8, 0.2]], [[0, 0], [0, 0]]], np.float32)
    found = run(nms(Place(), most=3, give="detections"), boxes=boxes, scores=scores)
    assert found.keys() == {"detections"}
    nothing: list[float] = [0, 0, 0, 0, 0, -1]
    assert np.allclose(found["detections"][0], [[0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 0], nothing])
    assert found["detections"][1].tolist() == [nothing] * 3


def test_boxes_are_those_of_a_slow_search() -> None:
    random = np.random.default_rng(0)
    low = random.uniform(0, 50, (60, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + random.uniform(5, 30, (60, 2)).astype(np.float32)], axis=1)
    scores = random.uniform(size=60).astype(np.float32)

    def overlap(one: np.ndarray, other: np.ndarray) -> float:
        width, height = (min(one[2 + axis], other[2 + axis]) - max(one[axis], other[axis]) for axis in (0, 1))
        common = max(width, 0) * max(height, 0)
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
        return float(common / (sum(areas) - common))

    kept: list[int] = []
    for row in np.argsort(-scores):
        if scores[row] >= 0.3 and all(overlap(boxes[row], boxes[other]) < 0.4 for other in kept):
            kept.append(int(row))
    found = run(nms(Place(), overlap=0.4, least_score=0.3), boxes=boxes[None], scores=scores[None])
    assert found["count"][0] == len(kept)
    assert np.array_equal(found["boxes"][0][: len(kept)], boxes[kept])


def test_the_likeliest_class_is_told_of_each_pixel() -> None:
    scores = np.random.default_rng(0).random((3, 4, 5, 6), np.float32)
    found = run(argmax(Place()), probabilities=scores)
    assert found.keys() == {"classes"}
    assert found["classes"].dtype == np.int32
    assert np.array_equal(found["classes"], scores.argmax(axis=-1))


def test_symbols_over_time_become_a_text(tmp_path: Path) -> None:
    (tmp_path / "alphabet.txt").write_text("-\na\nb\n \n")
    steps = np.array([[0, 1, 1, 0, 1, 2, 2, 3, 1], [0] * 9])
    found = run(ctc_greedy(Place(), alphabet=str(tmp_path / "alphabet.txt")), scores=np.eye(4, dtype=np.float32)[steps])
    assert found["text"].tolist() == [b"aab a", b""]
