"""Stage `render`: let a deploy target write its manifests for the image that was checked."""

from __future__ import annotations

from typing import Any

from modelyard.artifacts import ImageFacts
from modelyard.contexts import TargetContext
from modelyard.errors import PluginError
from modelyard.job import Job
from modelyard.jsonfiles import read_json
from modelyard.rendering import renderer


def run(job: Job) -> None:
    """Render the target's manifests.

    Raises:
        PluginError: the target wrote nothing.
    """
    use = job.stage.uses["target"]
    settings = job.stage.settings
    image = read_json(job.inputs["image"], ImageFacts)
    model = read_json(job.inputs["model"] / "model.json", dict)
    always = {**settings, "image": image, "model": model, "params": use.params}
    render = renderer(job.base.project, use.component.template_folders, always)
    facts = {"name": settings["name"], "version": settings["version"]}
    job.call("target", job.context(TargetContext, image=image, model=model, render=render, **facts))
    _check_amended(job, image)
    files = sorted(p.name for p in job.base.out.rglob("*") if p.is_file())
    if not files:
        msg = f"the target {use.component.name!r} ({use.component.file}) wrote nothing\n  it must call context.write"
        raise PluginError(msg)
    job.base.metrics["files"] = len(files)


def _check_amended(job: Job, image: ImageFacts) -> None:
    """Let plugins amend Kubernetes objects, and check them again if one did, or if the target is a third party's."""
    from modelyard.kubernetes.checking import check, enforce
    from modelyard.kubernetes.manifests import amend, objects_in, read_folder

    target = job.stage.uses["target"]

    def change(documents: list[dict[str, Any]]) -> None:
        job.plugins.manager.hook.modelyard_amend_manifests(target=target.component.name, documents=documents)

    if not job.plugins.manager.hook.modelyard_amend_manifests.get_hookimpls() or not amend(job.base.out, change):
        return
    version = target.params.get("kubernetes_version", "1.32")
    enforce(check(objects_in(read_folder(job.base.out)), version=version, image=image.reference), job.base.log)
