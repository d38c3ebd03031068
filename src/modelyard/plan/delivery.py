"""The stages between the selected models and what runs them: pack them into an image, check it, render its manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import asdict

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.kinds import BUILT_IN
from modelyard.plan.stages import new_stage, without
from modelyard.stage import Input, Stage


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

    def _stage(self, stage_id: str, uses: Mapping[str, Use], settings: Mapping[str, Any], *inputs: Input) -> Stage:
        kind, _, name = stage_id.partition(":")
        return new_stage(BUILT_IN[kind], name, uses, settings, inputs, self.config)

    @property
    def _models(self) -> list[Input]:
        return [Input(f"model{of}", f"select:{one.name}", "model") for of, one in self.held.items()]

    def _image_stage(self) -> Stage:
        config, uses = self.config, self.config.uses
        image = {**asdict(config.settings.image), **self._facts, "port": config.settings.serve.port}
        image["repository"] = image["repository"] or config.name
        packed = {"builder": uses["image"], "runtime": uses["runtime"], **config.handlers}
        if config.events is not None:
            packed["source"] = config.events
            image |= config.settings.events.of_server()
        return self._stage(self.image, packed, image, *self._models)

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

    def _checked(self) -> dict[str, Any]:
        """Return how closely the image is looked at: each of several models as its pipeline says."""
        settings = asdict(self.config.settings.check)
        if not self.config.models:
            return settings
        del settings["samples"], settings["tolerance"]
        return settings | {
            "models": {
                one.key: {
                    "name": one.name,
                    "version": one.version,
                    "samples": one.config.settings.check.samples,
                    "tolerance": one.config.settings.check.tolerance,
                }
                for one in self.config.models
            }
        }

    def _render_stage(self, stage_id: str, use: Use) -> Stage:
        inputs = (Input("image", self.image, "image.json"), *self._models, Input("check", self.check))
        return self._stage(stage_id, {"target": without(use, use.component.deploy_only)}, self._facts, *inputs)

    @property
    def _facts(self) -> dict[str, Any]:
        config = self.config
        models = {one.key: {"name": one.name, "version": one.version} for one in config.models}
        return {"name": config.name, "version": config.version, **({"models": models} if models else {})}
