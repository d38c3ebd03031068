"""Average precision over blocks: as pycocotools finds it over everything at once."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard_plugins.support.average_precision import Boxes

pytest.importorskip("pycocotools")
Array = np.ndarray[Any, Any]
CLASSES = 3


def sets(random: np.random.Generator, samples: int) -> tuple[Array, Array]:
    """Return detections and labels that often meet; some rows are no box, and scores are often equal."""
    low = random.integers(0, 8, (samples, 5, 2))
    labels = np.concatenate(
        [low, low + random.integers(1, 6, (samples, 5, 2)), random.integers(-1, CLASSES - 1, (samples, 5, 1))], axis=-1
    ).astype(np.float32)
    near = np.repeat(labels, 2, axis=1)
    near[..., :4] += random.integers(-1, 2, near[..., :4].shape)
    scores = random.integers(0, 5, (samples, 10, 1)) / 4
    found = np.concatenate([near[..., :4], scores, random.integers(-1, CLASSES, (samples, 10, 1))], axis=-1)
    return found.astype(np.float32), labels


def at_once(detections: Array, labels: Array, most: int) -> tuple[Array, Array]:
    """Return precision, `(overlaps, recalls, classes)`, and recall, `(overlaps, classes)`, as pycocotools is used by itself."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        for known, rows, scored in ((truth, labels, False), (found, detections, True)):
            known.dataset = {"images": [{"id": n} for n in range(len(rows))], "annotations": []}
            known.dataset["categories"] = [{"id": n} for n in range(CLASSES)]
            for image, each in enumerate(rows.tolist()):
                for box in each:
                    if box[-1] >= 0:
                        width, height = max(box[2] - box[0], 0), max(box[3] - box[1], 0)
                        one: dict[str, Any] = {
                            "id": len(known.dataset["annotations"]) + 1,
                            "image_id": image,
                            "category_id": int(box[-1]),
                        }
                        one |= {"bbox": [*box[:2], width, height], "area": width * height, "iscrowd": 0}
                        known.dataset["annotations"].append(one | ({"score": box[4]} if scored else {}))
            known.createIndex()
        whole = COCOeval(truth, found, "bbox")
        whole.params.maxDets = [most]
        whole.params.areaRng, whole.params.areaRngLbl = [[0, 1e10]], ["all"]
        whole.evaluate()
        whole.accumulate()
    return whole.eval["precision"][..., 0, 0], whole.eval["recall"][..., 0, 0]


def told(values: Array) -> list[float | None]:
    return [None if (values[..., one] < 0).all() else float(values[..., one].mean()) for one in range(CLASSES)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 6))
def test_blocks_and_parts_are_the_whole(seed: int, samples: int, block: int, cut: int, most: int) -> None:
    detections, labels = sets(np.random.default_rng(seed), samples)
    parts = [Boxes(CLASSES, most), Boxes(CLASSES, most)]
    for part, rows in zip(parts, (range(min(cut, samples)), range(cut, samples)), strict=True):
        for start in range(rows.start, rows.stop, block):
            some = slice(start, min(start + block, rows.stop))
            part.update(detections[some], labels[some])
    parts[0].merge(parts[1])

    found = parts[0].result()

    precision, recall = at_once(detections, labels, most)
    assert parts[0].samples == samples
    assert found.average == told(precision)
    assert found.at_half == told(precision[:1])
    assert found.at_three_quarters == told(precision[5:6])
    assert found.recall == told(recall)


def test_average_precision_by_hand() -> None:
    labels = np.array([[[0, 0, 10, 10, 0], [20, 0, 30, 10, 0]], [[0, 0, 10, 10, 0], [0, 0, 0, 0, -1]]], np.float32)
    right, beside, second = [0, 0, 10, 10, 0.9, 0], [50, 50, 60, 60, 0.8, 0], [20, 0, 30, 10, 0.7, 0]
    none = [0, 0, 0, 0, 0, -1]
    found = Boxes(2, 100)
    found.update(np.array([[right, beside, second], [none, none, none]], np.float32), labels)

    precision = found.result()

    # one of three boxes is found at precision 1 (recalls 0 to 0.33), two at 2/3 (to 0.66), the third never
    assert precision.average == [pytest.approx((34 * 1 + 33 * 2 / 3) / 101), None]
    assert precision.recall == [pytest.approx(2 / 3), None]


def test_a_box_without_an_area_counts_as_a_wrong_one() -> None:
    turned = [10, 10, 0, 0, 1.0, 0]
    found = Boxes(1, 100)
    found.update(np.array([[turned, [0, 0, 10, 10, 0.5, 0]]], np.float32), np.array([[[0, 0, 10, 10, 0]]], np.float32))
    assert found.result().average == [pytest.approx(0.5)]
