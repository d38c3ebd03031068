"""The network."""


def build(input_shape, classes, *, tokens: int = 4000, width: int = 48):
    """Return what looks at three characters at a time, and goes by the most telling ones."""
    from tf_keras import Sequential, layers

    taken = [layers.Input(input_shape, dtype="int32"), layers.Embedding(tokens, width)]
    seen = [layers.Conv1D(width, 3, padding="same", activation="relu"), layers.GlobalMaxPooling1D()]
    return Sequential([*taken, *seen, layers.Dense(classes)])
