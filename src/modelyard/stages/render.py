"""Stage `render`: let a deploy target write its manifests for the image that was checked."""

from __future__ import annotations

from typing import Any

from modelyard.artifacts import ImageFacts
from modelyard.contexts import TargetContext
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.files.json import read_json
from modelyard.launch.usage import MEASURED
from modelyard.rendering.templates import renderer
from modelyard.stage_settings import RenderSettings, by_name
from modelyard.stages.packed import joint_facts, packed


def run(job: Job) -> None:
    """Render the target's manifests.

    Raises:
        PluginError: the target wrote nothing.
        StageFailed: Kubernetes objects among what it wrote break a rule.
    """
    use = job.stage.uses["target"]
    settings = job.stage.settings_as(RenderSettings)
    image = read_json(job.inputs["image"], ImageFacts)
    held = packed(job)
    model, models = joint_facts(held), {one.path: one.facts for one in held if one.key}
    always = {**by_name(settings), "image": image, "model": model, "models": models, "params": use.params}
    render = renderer(job.base.project, use.component.template_folders, always)
    facts = {"name": settings.name, "version": settings.version, "server_memory_bytes": _measured(job)}
    job.call("target", job.context(TargetContext, image=image, model=model, models=models, render=render, **facts))
    files = sorted(p.name for p in job.base.out.rglob("*") if p.is_file())
    if not files:
        msg = f"the target {use.component.name!r} ({use.component.file}) wrote nothing\n  it must call context.write"
        raise PluginError(msg)
    job.base.metrics["files"] = len(files)
    _amend(job)
    _check(job, image)


def _measured(job: Job) -> int:
    """Return the memory that the server took while it was checked, with headroom; 0: it was not started, or not checked."""
    checked = job.inputs.get("check")
    if checked is None or not (checked / MEASURED).exists():
        return 0
    return int(read_json(checked / MEASURED, dict)["server_memory_bytes"])


def _amend(job: Job) -> None:
    """Let plugins change the Kubernetes objects that were rendered."""
    hooks = job.plugins.hooks
    if not hooks.amends_manifests:
        return
    from modelyard.kubernetes.config_names import named_by_content, rename_configs
    from modelyard.kubernetes.manifests import amend

    target = job.stage.uses["target"].component.name

    def change(documents: list[Any]) -> None:
        names = named_by_content(documents)
        hooks.amend_manifests(target, documents)
        rename_configs(documents, names)

    amend(job.base.out, change)


def _check(job: Job, image: ImageFacts) -> None:
    """Check the Kubernetes objects among what was rendered, whoever rendered them."""
    from modelyard.kubernetes.checking import VERSION
    from modelyard.kubernetes.rendered import check_rendered

    version = str(job.stage.uses["target"].params.get("kubernetes_version") or VERSION)
    name, base = job.stage.settings_as(RenderSettings).name, job.base
    found = check_rendered(base.out, name=name, image=image.reference, version=version, log=base.log, warn=base.warn)
    if found.objects or base.warnings:
        base.metrics.update(objects=found.objects, warnings=found.warnings + len(base.warnings))
