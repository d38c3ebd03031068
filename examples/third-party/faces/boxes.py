"""BlazeFace's numbers to boxes: each of its anchors says how far a face is from it, in pixels of the model's 128."""

import numpy as np

SIDE = 128


def anchors():
    """Return the middles of the anchors: two at each 8 pixels, and six at each 16."""
    grids = [((np.mgrid[:n, :n].reshape(2, -1).T[:, ::-1] + 0.5) / n).repeat(each, 0) for n, each in ((16, 2), (8, 6))]
    return np.concatenate(grids)


def boxes(place):
    """Give middles and sizes as parts of the picture, a score for each, and whether there is a face at all."""
    middles = np.pad(anchors(), ((0, 0), (0, 2)))
    count = len(middles)

    def run(tensors):
        scores = 1 / (1 + np.exp(-tensors["classificators"][..., 0].clip(-80, 80)))
        best = scores.max(axis=1)
        found = {"boxes": middles + tensors["regressors"][..., :4] / SIDE, "scores": scores}
        return found | {"probabilities": np.stack([1 - best, best], axis=1)}

    taken = [place.tensor("regressors", shape=[count, 16]), place.tensor("classificators", shape=[count, 1])]
    given = [place.tensor("boxes", shape=[count, 4]), place.tensor("scores", shape=[count])]
    return place.handler(run, taken, [*given, place.tensor("probabilities", shape=[2])])
