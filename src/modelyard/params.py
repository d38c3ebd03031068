"""Types for the parameters of a component: what the TOML value may be, with its range.

A component's keyword-only parameters are its configuration. An annotation from this module adds
the bound that the configuration is checked against, and that `doit plugins NAME` prints.

What nearly every trainer takes has a type of its own, which says what the parameter means too: it
needs no line under `Args:`. A plugin can have such types of its own, with `extra={"doc": "..."}`.

A text that people will try, and that is refused for a reason, has the reason, and what to write instead:
`extra={"refused": {"gptq": ("why it is refused", "what to take instead")}}`.

A text that names a function of the project's own, `module:function`, says how many arguments it will be called with:
`extra={"function": 2}`. Whether it is there, and takes as many, is looked at when the project is loaded; its code counts
for the action key, with all of the project that it imports.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Fraction = Annotated[float, Meta(ge=0, le=1, description="a fraction from 0 to 1")]
"""A fraction from 0 to 1."""

OpenFraction = Annotated[float, Meta(ge=0, lt=1, description="a fraction from 0 up to, not including, 1")]
"""A fraction from 0 up to, not including, 1."""

PositiveInt = Annotated[int, Meta(ge=1, description="a whole number from 1")]
"""A whole number from 1."""

NonNegativeInt = Annotated[int, Meta(ge=0, description="a whole number from 0")]
"""A whole number from 0."""

PositiveFloat = Annotated[float, Meta(gt=0, description="a number above 0")]
"""A number above 0."""

Port = Annotated[int, Meta(ge=1, le=65535, description="a TCP port, 1 to 65535")]
"""A TCP port."""

InputPath = Annotated[
    str, Meta(min_length=1, description="a file or folder, relative to the project", extra={"input": True})
]
"""A file or folder that the stage reads. Its *content* is part of the action key, its name is not.

In the configuration it is relative to the project; the component gets it as an absolute path.
"""

Epochs = Annotated[PositiveInt, Meta(extra={"doc": "how often to go through the training split, at most."})]
"""A trainer's `epochs`."""

BatchSize = Annotated[PositiveInt, Meta(extra={"doc": "samples a step."})]
"""A trainer's `batch_size`."""

LearningRate = Annotated[PositiveFloat, Meta(extra={"doc": "the optimizer's step size."})]
"""A trainer's `learning_rate`."""

EarlyStopping = Annotated[
    NonNegativeInt,
    Meta(
        extra={
            "doc": "stop after this many epochs without a lower validation loss, and keep the best epoch's weights; "
            "0 never stops. It needs a validation_fraction above 0."
        }
    ),
]
"""A trainer's `early_stopping`."""

ValidationFraction = Annotated[
    OpenFraction,
    Meta(extra={"doc": "part of the training split that is set apart to measure after each epoch."}),
]
"""A trainer's `validation_fraction`."""

ClassWeights = Annotated[
    Literal["none", "balanced"],
    Meta(
        extra={
            "doc": "`balanced` lets each class count as much as every other in the loss, however many samples it has; "
            "`none` lets each sample count as much."
        }
    ),
]
"""A trainer's `class_weights`."""

_OWN_FUNCTION = r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)?\Z"
_OWN_CODE = "'module:function' of the project's own code"

OwnLoss = Annotated[
    str,
    Meta(
        pattern=_OWN_FUNCTION,
        description=_OWN_CODE,
        extra={
            "doc": "a function of the project's own to make small instead of the task's loss, `module:function`. It is "
            "called as the framework calls a loss, and gives a number for each sample, or one for the batch.",
            "function": 2,
        },
    ),
]
"""A trainer's `loss`."""

OwnStep = Annotated[
    str,
    Meta(
        pattern=_OWN_FUNCTION,
        description=_OWN_CODE,
        extra={
            "doc": "a function of the project's own that takes a training step instead of the trainer's, `module:function`. It "
            "is called with the model, what moves its weights, and the inputs and targets of a batch, moves the weights, and "
            "returns figures by their names, such as the loss.",
            "function": 4,
        },
    ),
]
"""A trainer's `step`."""

OwnCallbacks = Annotated[
    str,
    Meta(
        pattern=_OWN_FUNCTION,
        description=_OWN_CODE,
        extra={
            "doc": "a function of the project's own that returns callbacks, `module:function`. It is called with the "
            "trainer's context; its callbacks are told when an epoch or a batch begins and ends.",
            "function": 1,
        },
    ),
]
"""A trainer's `callbacks`."""

OwnBuilder = Annotated[
    str,
    Meta(
        pattern=_OWN_FUNCTION,
        description=_OWN_CODE,
        extra={
            "doc": "for weights without a model, `.safetensors`: a function of the project's own, `module:function`, that "
            "returns the torch.nn.Module they are for. Its tensors have the names of the file's.",
            "function": 0,
        },
    ),
]
"""The `builder` of a trainer that brings weights."""

Precision = Annotated[
    Literal["float32", "bfloat16"],
    Meta(
        extra={
            "doc": "what layers compute in while they learn; with `bfloat16` the weights, the loss and what ships stay "
            "float32. It saves time and memory on processors that have it."
        }
    ),
]
"""A trainer's `precision`."""

Schedule = Annotated[
    Literal["constant", "cosine"],
    Meta(extra={"doc": "`cosine` lets the learning rate fall to 0 along half a cosine over all epochs."}),
]
"""A trainer's `schedule`."""

Flip = Annotated[bool, Meta(extra={"doc": "mirror half of the pictures, drawn anew each epoch."})]
"""A trainer's `flip`."""

Shift = Annotated[
    NonNegativeInt,
    Meta(extra={"doc": "move each picture by up to so many pixels in each direction, drawn anew each epoch."}),
]
"""A trainer's `shift`."""

ShuffleBlock = Annotated[
    NonNegativeInt,
    Meta(
        extra={
            "doc": "for data larger than memory: so many samples that lie side by side stay near each other, of which 8 such "
            "blocks from anywhere are mixed, so that few places of the disk are read at a time. 0: any sample may follow any."
        }
    ),
]
"""A trainer's `shuffle_block`."""

Buckets = Annotated[
    NonNegativeInt,
    Meta(
        extra={
            "doc": "for samples of several lengths: sort those of so many batches by their length before they are put "
            "together, so that little is padded. 0: none."
        }
    ),
]
"""A trainer's `buckets`."""
