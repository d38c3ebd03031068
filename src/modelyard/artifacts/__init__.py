"""What passes between stages: facts in JSON beside plain files, and how to open them.

Nothing here imports numpy or a framework before an array is asked for.
"""

from __future__ import annotations

from modelyard.artifacts.dataset import Dataset, DatasetFacts, SplitFacts
from modelyard.artifacts.image import ImageFacts, LayerFacts, ServerFacts
from modelyard.artifacts.model import FileFacts, Model, ModelFacts, Output, self_contained
from modelyard.artifacts.names import ONLY_INPUT, format_file, samples_file, sent_file, slice_file
from modelyard.artifacts.samples import SampleShape, Shape
from modelyard.artifacts.splits import Splits, Streams

__all__ = [
    "FACTS",
    "ONLY_INPUT",
    "Dataset",
    "DatasetFacts",
    "FileFacts",
    "ImageFacts",
    "LayerFacts",
    "Model",
    "ModelFacts",
    "Output",
    "SampleShape",
    "ServerFacts",
    "Shape",
    "SplitFacts",
    "Splits",
    "Streams",
    "format_file",
    "samples_file",
    "self_contained",
    "sent_file",
    "slice_file",
]

FACTS = (DatasetFacts, ModelFacts, ImageFacts)
"""What artifacts say of themselves, each in a JSON file that a later stage reads."""
