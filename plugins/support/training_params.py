"""The configuration that the trainers by epochs have in common, whatever their framework.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

from typing import Literal

import msgspec

from modelyard.params import (
    BatchSize,
    Buckets,
    ClassWeights,
    EarlyStopping,
    Epochs,
    Flip,
    InputPath,
    LearningRate,
    OwnCallbacks,
    OwnLoss,
    OwnStep,
    Precision,
    Schedule,
    Shift,
    ShuffleBlock,
    ValidationFraction,
)


class TrainingParams(msgspec.Struct, frozen=True, kw_only=True):
    """What a trainer by epochs takes. What is not said here, the types say of themselves.

    Attributes:
        optimizer: what moves the weights.
        input: a file or folder that functions of the project's own read, such as the weights of a teacher; its content counts.
    """

    epochs: Epochs = 10
    batch_size: BatchSize = 32
    learning_rate: LearningRate = 0.001
    optimizer: Literal["adam", "adamw", "lion", "rmsprop", "sgd"] = "adam"
    early_stopping: EarlyStopping = 0
    validation_fraction: ValidationFraction = 0.0
    class_weights: ClassWeights = "none"
    schedule: Schedule = "constant"
    flip: Flip = False
    shift: Shift = 0
    loss: OwnLoss = ""
    step: OwnStep = ""
    callbacks: OwnCallbacks = ""
    input: InputPath | None = None
    precision: Precision = "float32"
    shuffle_block: ShuffleBlock = 0
    buckets: Buckets = 0


class WithoutLion(TrainingParams, frozen=True, kw_only=True):
    """What a trainer takes whose framework has no Lion: tf-keras and PyTorch."""

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
