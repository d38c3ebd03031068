"""BlazeFace's numbers to boxes: each of its anchors says how far a face is from it, in pixels of the model's 128."""

import numpy as np

SIDE = 128


def anchors():
    """Return the middles of the anchors: two at each 8 pixels, and six at each 16."""
    grids = [
        np.repeat(np.mgrid[:side, :side].reshape(2, -1).T[:, ::-1], each, 0) / side for side, each in ((16, 2), (8, 6))
    ]
    return np.concatenate([grid + 0.5 / side for grid, side in zip(grids, (16, 8), strict=True)])


def boxes(place):
    """Give corners as parts of the picture, a score for each, and whether there is a face at all."""
    middles = anchors()

    def run(tensors):
        found = tensors["regressors"][..., :4] / SIDE
        middle, half = middles + found[..., :2], found[..., 2:] / 2
        scores = 1 / (1 + np.exp(-tensors["classificators"][..., 0].clip(-80, 80)))
        best = scores.max(axis=1)
        probabilities = np.stack([1 - best, best], axis=1)
        return {
            "boxes": np.concatenate([middle - half, middle + half], -1),
            "scores": scores,
            "probabilities": probabilities,
        }

    count = len(middles)
    taken = [place.tensor("regressors", shape=[count, 16]), place.tensor("classificators", shape=[count, 1])]
    given = [place.tensor("boxes", shape=[count, 4]), place.tensor("scores", shape=[count])]
    return place.handler(run, taken, [*given, place.tensor("probabilities", shape=[2])])
