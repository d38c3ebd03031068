"""The task `transcription`: a text for each sample, for instance what is said in a sound."""

from __future__ import annotations

import operator
import unicodedata
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Agreement, Answers, Score, Scores, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

WER = Quantity(name="wer", better="lower", unit="fraction", title="WER", worse="less exact", detail=0)
CER = Quantity(name="cer", better="lower", unit="fraction", title="CER", worse="less exact")
EXACT = Quantity(name="exact_match", better="higher", unit="fraction", worse="less exact", sampled=True)


class Transcription(Task):
    """A text for each sample. Labels are texts, shape `(samples,)`; a handler behind the model answers such."""

    says = "texts"
    number = "a text"

    def __init__(self, ignore_case: bool) -> None:
        self.ignore_case = ignore_case

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a text."""
        from modelyard.tensors import OutputFacts

        for name in ("train_y", "test_y"):
            _check(name, getattr(splits, name))
        return OutputFacts(name="text", dtype="bytes", shape=())

    def stored(self, labels: NDArray[Any]) -> NDArray[np.bytes_]:
        """Return texts in UTF-8, as wide as the longest."""
        import numpy as np

        return np.array([str(one).encode() for one in labels.tolist()], np.bytes_)

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that each answer is a text in UTF-8."""
        from modelyard.errors import PluginError

        for row, answer in enumerate(answers.tolist()):
            try:
                answer.decode()
            except (AttributeError, UnicodeDecodeError):
                msg = (
                    f"the answer to test sample {first + row} is no text: {answer!r:.80}\n"
                    "  a transcript is a text in UTF-8; the handler 'ctc-greedy' gives one: [tool.modelyard.handlers] answer"
                )
                raise PluginError(msg) from None

    def accumulator(self, output: OutputFacts) -> _Found:  # noqa: ARG002 - a text is a text
        """Return what counts the words and characters that have to be changed."""
        return _Found(self.ignore_case)

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many texts differ."""
        return Agreement(sum(map(operator.ne, own.tolist(), other.tolist())), 0.0)


class _Found:
    """How many words and characters there are, and how many have to be changed, see `modelyard.task.Accumulator`."""

    def __init__(self, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._words, self._characters = _Edits(), _Edits()
        self._exact: list[bool] = []

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        assert block.labels is not None
        for said, right in zip(block.own.tolist(), block.labels.tolist(), strict=True):
            own, label = self._plain(said), self._plain(right)
            self._words.add(own.split(), label.split())
            self._characters.add(own, label)
            self._exact.append(own == label)

    def _plain(self, text: bytes) -> str:
        """Return a text in one form: letters with accents are one character, words stand one blank apart."""
        plain = " ".join(unicodedata.normalize("NFC", text.decode()).split())
        return plain.casefold() if self._ignore_case else plain

    def merge(self, later: _Found) -> None:
        """Take what another found of later samples."""
        self._words.merge(later._words)
        self._characters.merge(later._characters)
        self._exact += later._exact

    def result(self) -> Scores:
        """Return the word error rate, the character error rate, and how many texts are right."""
        import numpy as np

        from modelyard.metrics.sampled import mean_of

        exact = np.array(self._exact)
        rates = [Score(WER.of(self._words.rate)), Score(CER.of(self._characters.rate))]
        details = {"words": self._words.told, "characters": self._characters.told}
        return Scores([*rates, Score(mean_of(EXACT, exact), exact)], details)


class _Edits:
    """How many elements the right sequences have, and how many of an answer's have to be changed, left out or put in."""

    def __init__(self) -> None:
        self.edits, self.total = 0, 0

    def add(self, own: Sequence[str], label: Sequence[str]) -> None:
        """Count a sequence.

        Source: V. I. Levenshtein, Soviet Physics Doklady 10, 1966.
        """
        from rapidfuzz.distance import Levenshtein

        self.edits += Levenshtein.distance(own, label)
        self.total += len(label)

    def merge(self, later: _Edits) -> None:
        """Add those of other sequences."""
        self.edits, self.total = self.edits + later.edits, self.total + later.total

    @property
    def rate(self) -> float:
        """Edits for each right element, which can be more than 1; of none at all, the edits."""
        return self.edits / max(self.total, 1)

    @property
    def told(self) -> dict[str, int]:
        """What `evaluation.json` says."""
        return {"edits": self.edits, "total": self.total}


def _check(name: str, labels: NDArray[Any] | None) -> None:
    from modelyard.errors import DataError

    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "UO":
        given = "there is none" if labels is None else f"labels are {labels.dtype}, shape {labels.shape}"
        msg = f"{name}: {given}\n  a text for each sample is needed: numpy.array of texts, shape (samples,); the data sets csv and parquet give it with as_text = true"
        raise DataError(msg)
    for row, label in enumerate(labels.tolist()):
        if not isinstance(label, str) or "\0" in label:
            msg = f"{name}: the label of sample {row} is {label!r:.80}\n  a text is needed, without the character 0"
            raise DataError(msg)


def transcription(*, ignore_case: bool = False) -> Task:
    """A text for each sample: word error rate, character error rate, and how many texts are right.

    Args:
        ignore_case: whether large and small letters are the same.
    """
    return Transcription(ignore_case)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "transcription",
        transcription,
        metrics=(WER, CER, EXACT),
        tools=("rapidfuzz",),
        deterministic=True,
    )
