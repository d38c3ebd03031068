"""The handlers of a stage: what stands around the model wherever it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from modelyard.asking import is_named
from modelyard.errors import PluginError
from modelyard.files.fields import joined
from modelyard.serving.errors import HandlerError, StartError
from modelyard.serving.handled import Handled
from modelyard.serving.handlers import Chain, Place, who
from modelyard.serving.handling import named
from modelyard.stages.handlers_fit import check_fit, quoted
from modelyard.tensors import OutputFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from modelyard.artifacts import DatasetFacts, ModelFacts
    from modelyard.component import Use
    from modelyard.contexts import NamedPredictor, Predictor
    from modelyard.serving.handler_tensor import Tensor
    from modelyard.serving.handlers import Handler


def open_chain(uses: Mapping[str, Use], facts: ModelFacts | None = None) -> Chain:
    """Return the handlers among the components of a stage, around a model of which `facts` is known; None: there is none yet.

    Raises:
        PluginError: one cannot be opened, or is none.
    """
    place = Place({one.name: one.labels for one in facts.outputs} if facts else {})
    sides: dict[str, list[Handler]] = {"before": [], "after": []}
    for role, use in uses.items():
        side, _, number = role.partition(":")
        if number and side in sides:
            own, file = use.component, str(use.component.file)
            try:
                found = own.function(place, **use.params)
                sides[side].append(named(found, own.name, _line(found, file)))
            except StartError as exc:
                raise PluginError(str(exc)) from exc
            except HandlerError as exc:
                msg = f"{who(own.name, file)}: {exc}"
                raise PluginError(msg) from exc
    return Chain(tuple(sides["before"]), tuple(sides["after"]))


def _line(found: Any, file: str) -> str:
    """Return the file of a handler, with the line where what it runs begins if that stands there."""
    code = getattr(getattr(found, "run", None), "__code__", None)
    return f"{file}:{code.co_firstlineno}" if code and code.co_filename == file else file


@dataclass(frozen=True)
class Around:
    """What stands around the model in one stage.

    Attributes:
        uses: the components of the stage, by role.
        dataset: what the data set says of itself.
    """

    uses: Mapping[str, Use]
    dataset: DatasetFacts

    @property
    def _is_there(self) -> bool:
        return any(role.startswith(("before:", "after:")) for role in self.uses)

    @property
    def sends_to_the_model(self) -> bool:
        """Whether clients send what the model takes, and get what it answers."""
        return not self._is_there

    def open(self, predictor: Predictor, facts: ModelFacts) -> Predictor:
        """Return a model as clients ask it, with its handlers."""
        answer = self.answer(facts)
        if self._is_there:
            chain, counted = open_chain(self.uses, facts), self.counted(facts)
            check_fit(chain, facts, counted)
            predictor = _Handled(predictor, chain, facts, counted[0])
        return Joined(cast("NamedPredictor", predictor), answer, facts) if answer.parts else predictor

    def outputs(self, facts: ModelFacts) -> tuple[OutputFacts, ...]:
        """Return what a client gets of a model."""
        if not self._is_there:
            return facts.outputs
        chain = open_chain(self.uses, facts)
        gives = chain.outputs()
        own = {one.name: one for one in facts.outputs}
        kept = [one for name, one in own.items() if chain.let_by(name) and name not in gives]
        return (*kept, *(own.get(name) or _output(one) for name, one in gives.items()))

    def answer(self, facts: ModelFacts) -> OutputFacts:
        """Return the tensor that the task measures."""
        if self.dataset.measured:
            return self.dataset.measured
        return facts.outputs[0] if self._is_there else facts.answer

    def counted(self, facts: ModelFacts) -> list[str]:
        """Return the names of the tensors that the task measures."""
        answer = self.answer(facts)
        return [one.name for one in answer.parts] or [answer.name]


def taken(found: Mapping[str, NDArray[Any]], answer: OutputFacts) -> NDArray[Any]:
    """Return what the task measures of everything that was answered.

    Raises:
        PluginError: an output is not there.
    """
    if not answer.parts:
        return found[answer.name]
    if missing := [one.name for one in answer.parts if one.name not in found]:
        msg = f"the answers are {quoted(found)}, but the task measures {missing[0]!r}, too\n  let the model answer it, or leave it out of [tool.modelyard.task.outputs]"
        raise PluginError(msg)
    return joined({one.name: found[one.name] for one in answer.parts})


class Joined:
    """A model of several outputs that count: what it answers has a field for each."""

    def __init__(self, predictor: NamedPredictor, answer: OutputFacts, facts: ModelFacts) -> None:
        self._predictor, self._answer = predictor, answer
        self._input = facts.inputs[0].name

    def predict(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return what the task measures, for samples of the only input."""
        return self.run({self._input: raw})[self._answer.name]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return what the task measures, by the name that stands for all of it."""
        return {self._answer.name: taken(self._predictor.run(inputs), self._answer)}


class _Handled:
    """A model with its handlers around it, as `contexts.Predictor` says."""

    def __init__(self, predictor: Predictor, chain: Chain, facts: ModelFacts, answer: str) -> None:
        whole = predictor if is_named(predictor) else _ByPredict(predictor, facts)
        self._handled, self._answer = Handled(whole, chain, alone=is_alone(facts)), answer
        self._input = next(iter(chain.inputs()), facts.inputs[0].name)

    def predict(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return what the task measures, for samples of the only input."""
        return self.run({self._input: raw})[self._answer]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return every output by name.

        Raises:
            PluginError: the handlers do not give what they say.
        """
        try:
            return self._handled.run(inputs)
        except HandlerError as exc:
            raise PluginError(str(exc)) from exc


def is_alone(facts: ModelFacts) -> bool:
    """Tell whether the model takes one sample at a time, and answers some with more than others."""
    known = {axis for one in facts.inputs for axis in one.shape if axis != ""}
    return facts.batch == 1 and any(
        isinstance(axis, str) and axis not in known for one in facts.outputs for axis in one.shape
    )


class _ByPredict:
    """A model of one input and one output whose runtime has `predict` alone."""

    def __init__(self, predictor: Predictor, facts: ModelFacts) -> None:
        self._predictor, self._facts = predictor, facts

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return the only output by its name."""
        return {self._facts.answer.name: self._predictor.predict(inputs[self._facts.input.name])}


def _output(one: Tensor) -> OutputFacts:
    return OutputFacts(name=one.name, dtype=one.dtype, shape=one.shape)


def described(
    answer: OutputFacts, outputs: Sequence[str], measured: str, given: Callable[[OutputFacts], OutputFacts]
) -> tuple[tuple[OutputFacts, ...], OutputFacts | None]:
    """Return the tensors that a model must answer, and what the task measures if a handler gives it.

    Args:
        answer: what the task wants.
        outputs: the tensors that handlers take beside.
        measured: the tensor of a handler's that the task measures; empty: the model's own answer.
        given: says what such a tensor is.
    """
    from modelyard.tensors import ANY_SHAPE

    if answer.parts:
        parts = [one.name for one in answer.parts]
        rest = tuple(OutputFacts(name=name, shape=ANY_SHAPE) for name in outputs if name not in parts)
        return (*answer.parts, *rest), answer
    further = tuple(OutputFacts(name=name, shape=ANY_SHAPE) for name in outputs if name != answer.name)
    if not measured:
        return (answer, *further), None
    own = (answer,) if answer.name in outputs else ()
    return (*own, *further), msgspec.structs.replace(given(answer), name=measured)
