from __future__ import annotations

import json

import numpy as np
from tests.plugins.conftest import Bench, Trained


def test_it_trains_further_and_leaves_the_parent_alone(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.fine_tune import fine_tune
    from modelyard_plugins.support.keras_files import load_keras

    before = trained.model.path.read_bytes()
    context = bench.optimize(trained.dataset, trained.model)
    fine_tune(context, epochs=2, batch_size=16, learning_rate=0.003)
    assert trained.model.path.read_bytes() == before
    history = json.loads((context.out / "history.json").read_text())
    assert history["epoch"] == [1, 2]
    earlier = json.loads((trained.context.out / "history.json").read_text())
    assert history["loss"][-1] < earlier["loss"][0]
    assert context.metrics["epochs"] == 2
    assert context.metrics["train_loss"] == history["loss"][-1]
    tuned, parent = load_keras(context.out / "model.keras"), load_keras(trained.model.path)
    assert [layer.name for layer in tuned.layers] == [layer.name for layer in parent.layers]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(tuned.get_weights(), parent.get_weights(), strict=True))


def test_another_seed_sees_the_samples_in_another_order(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.fine_tune import fine_tune

    outs = [bench.optimize(trained.dataset, trained.model, seed=seed) for seed in (0, 0, 1)]
    for context in outs:
        fine_tune(context, epochs=1, batch_size=32)
    one, same, other = [(context.out / "model.keras").read_bytes() for context in outs]
    assert one == same != other
