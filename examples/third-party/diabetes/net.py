"""The network."""


def build(input_shape, numbers, *, width: int = 32):
    """Return two layers, and what they add up to."""
    from tf_keras import Sequential, layers

    hidden = [layers.Dense(width, "relu"), layers.Dense(width, "relu")]
    return Sequential([layers.Input(input_shape), *hidden, layers.Dense(numbers)])
