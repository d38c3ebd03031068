"""The stages between the selected models and what runs them: pack them into an image, check it, render its manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelyard.component import Use
from modelyard.config.config import Config, PackedModel
from modelyard.kinds import BUILT_IN
from modelyard.plan.stages import new_stage, without
from modelyard.stage import Input, Stage
from modelyard.stage_settings import (
    CheckedModel,
    CheckSettings,
    DeliverySettings,
    ImageSettings,
    ModelName,
    RenderSettings,
)


class Delivery:
    """The stages of one image: with the model of a pipeline, or with those of several.

    Of several models each role names the one that it is of: `model:NAME.VERSION`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.image, self.check = f"image:{config.name}", f"check:{config.name}"
        self.held = {f":{one.key}": one.config for one in config.models} or {"": config}

    def stages(self) -> Iterator[Stage]:
        """Yield the stages, in the order of a build."""
        yield self._image_stage()
        yield self._check_stage()
        for name, use in self.config.targets.items():
            yield self._render_stage(f"render:{self.config.called(name)}", use)

    def _stage(self, stage_id: str, uses: Mapping[str, Use], settings: DeliverySettings, *inputs: Input) -> Stage:
        kind, _, name = stage_id.partition(":")
        return new_stage(BUILT_IN[kind], name, uses, settings, inputs, self.config)

    @property
    def _models(self) -> list[Input]:
        return [Input(f"model{of}", f"select:{one.name}", "model") for of, one in self.held.items()]

    def _image_stage(self) -> Stage:
        config, uses = self.config, self.config.uses
        packed = {"builder": uses["image"], "runtime": uses["runtime"], **config.handlers}
        if config.events is not None:
            packed["source"] = config.events
        settings = ImageSettings(
            name=config.name,
            version=config.version,
            repository=config.settings.image.repository or config.name,
            tag=config.settings.image.tag,
            port=config.settings.serve.port,
            events=config.settings.events.of_server() if config.events is not None else None,
            models=self._names,
        )
        return self._stage(self.image, packed, settings, *self._models)

    def _check_stage(self) -> Stage:
        config, reads = self.config, [Input("image", self.image)]
        checking = {"runtime": config.uses["runtime"]}
        for of, one in self.held.items():
            reads += [
                Input(f"model{of}", f"select:{one.name}", "model"),
                Input(f"reference{of}", f"select:{one.name}", "reference"),
                Input(f"dataset{of}", f"dataset:{one.called(one.uses['dataset'].component.label)}"),
            ]
            checking |= {f"{role}{of}": use for role, use in one.tasks.items()}
        checking |= config.handlers
        if config.events is not None and config.settings.check.events:
            checking["source"] = config.events
        return self._stage(self.check, checking, self._checked(), *reads)

    def _checked(self) -> CheckSettings:
        """Return how closely the image is looked at: each of several models as its pipeline says."""
        check, models = self.config.settings.check, self.config.models
        return CheckSettings(
            start=check.start,
            events=check.events,
            timeout_s=check.timeout_s,
            samples=None if models else check.samples,
            tolerance=None if models else check.tolerance,
            models={one.key: _looked_at(one) for one in models},
        )

    def _render_stage(self, stage_id: str, use: Use) -> Stage:
        inputs = (Input("image", self.image, "image.json"), *self._models, Input("check", self.check))
        settings = RenderSettings(name=self.config.name, version=self.config.version, models=self._names)
        return self._stage(stage_id, {"target": without(use, use.component.deploy_only)}, settings, *inputs)

    @property
    def _names(self) -> dict[str, ModelName]:
        return {one.key: ModelName(name=one.name, version=one.version) for one in self.config.models}


def _looked_at(model: PackedModel) -> CheckedModel:
    check = model.config.settings.check
    return CheckedModel(name=model.name, version=model.version, samples=check.samples, tolerance=check.tolerance)
