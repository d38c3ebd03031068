"""From which data, code, parameters and tools an image came: `artifacts/build.json`, and the chain behind a digest.

A record names the digest of everything that its stage read. The chain is found by going back from digest to
record, through the artifacts that are there and then through the store, so that it also holds for images whose
artifact was replaced since.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import platform
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import ImageFacts
from modelyard.code.versions import tool_version
from modelyard.errors import DataError, PlanError
from modelyard.explain.differences import named
from modelyard.explain.reasons import input_files
from modelyard.files.atomic import replacing
from modelyard.files.json import find_json, write_json
from modelyard.files.manifest import manifest_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from modelyard.build.state import BuildState
    from modelyard.stage import Stage
    from modelyard.store.record import Accepted, InputRecord, Record

BUILD_TYPE = "urn:modelyard:build:1"
_LEAST = 8


class InputFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage read: a part of an earlier stage's output, its digest, and the key of a result that has it."""

    stage: str
    part: str
    digest: str
    key: str | None


class StageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one artifact was made of.

    Attributes:
        key: the action key.
        digest: the digest of all its files.
        inputs: what it read of earlier stages, by role; a key of None: no record of it is left.
        components: the component that ran, by role.
        parameters: parameters, settings and the seed, by name.
        files: SHA-256 of the files and folders that parameters name, and of templates.
        code: SHA-256 of the code of each role, by its meaning (see docs).
        sources: the files of that code, each with the digest of its meaning.
        tools: versions.
        environment: environment variables that shape the output.
        commit: the git commit that it was built at; empty outside git.
        clean: whether the tree had no changes then; None outside git.
        started: when, ISO 8601.
        duration_s: how long its work took, in seconds.
        made_on: the machine that made it, see `record.Record`.
        reproducible: whether the same key makes the same bytes.
        accepted: set if a person took other code for equivalent.
    """

    key: str
    digest: str
    inputs: dict[str, InputFacts]
    components: dict[str, str]
    parameters: dict[str, Any]
    files: dict[str, str]
    code: dict[str, str]
    sources: dict[str, str]
    tools: dict[str, str]
    environment: dict[str, str | None]
    commit: str
    clean: bool | None
    started: str
    duration_s: float
    made_on: str
    reproducible: bool
    accepted: Accepted | None


class Link(msgspec.Struct, frozen=True):
    """One result in a chain."""

    stage: Stage
    record: Record


def write_build(state: BuildState) -> None:
    """Write `artifacts/build.json`: what every artifact that is there was made of. Readers see all of it or nothing."""
    links = [Link(s, r) for s in state.plan.stages.values() if (r := state.workspace.record(s)) is not None]
    present = {link.stage.id: link.record for link in links}
    commit, clean = split_commit(state.workspace.commit)
    build = {
        "format": 1,
        "project": {"name": state.project.config.project_name, "version": state.project.config.version},
        "builder": builder(),
        "source": {"commit": commit, "clean": clean},
        "finished": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        "stages": {link.stage.id: facts(state, link, present) for link in links},
        "images": {link.stage.id: image for link in links if (image := image_of(state, link))},
    }
    with state.workspace.scratch() as scratch, replacing(state.workspace.artifacts / "build.json", scratch) as draft:
        write_json(draft, build)


def builder() -> dict[str, str]:
    """Return what built: modelyard, doit and Python, with their versions."""
    return {name: tool_version(name) for name in ("modelyard", "doit")} | {"python": platform.python_version()}


def split_commit(git: str) -> tuple[str, bool | None]:
    """Return a record's commit, and whether the tree was clean; `("", None)` outside git."""
    return (git.rstrip("+"), not git.endswith("+")) if git else ("", None)


def facts(state: BuildState, link: Link, present: Mapping[str, Record] = MappingProxyType({})) -> StageFacts:
    """Return what the artifact of `link` was made of.

    Args:
        state: the project's.
        link: the artifact.
        present: records of artifacts that have been read already, by stage.
    """
    record = link.record
    groups: dict[str, dict[str, Any]] = {}
    for (kind, role, name), value in named(record.parts, input_files(link.stage)):
        groups.setdefault(_GROUPS.get(kind, ""), {})[f"{role}.{name}" if role else name] = value
    commit, clean = split_commit(record.git)
    return StageFacts(
        key=record.key,
        digest=record.digest,
        inputs={role: _input(state, read, present) for role, read in record.inputs.items()},
        components=groups.get("components", {}),
        parameters=groups.get("parameters", {}),
        files=groups.get("files", {}),
        code=groups.get("code", {}),
        sources={file: _meaning(tuple(parts.items())) for file, parts in record.code.items()},
        tools=groups.get("tools", {}),
        environment=groups.get("environment", {}),
        commit=commit,
        clean=clean,
        started=record.started,
        duration_s=record.duration_s,
        made_on=record.made_on,
        reproducible=record.reproducible,
        accepted=record.accepted,
    )


_GROUPS = {
    **dict.fromkeys(("parameter", "setting", "seed", "threads", "isa"), "parameters"),
    **dict.fromkeys(("file", "template"), "files"),
    **dict.fromkeys(("version", "machine", "accelerator"), "tools"),
    "component": "components",
    "code": "code",
    "environment": "environment",
}


@functools.lru_cache(maxsize=4096)
def _meaning(parts: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(parts))).hexdigest()[:16]


def _input(state: BuildState, read: InputRecord, present: Mapping[str, Record]) -> InputFacts:
    link = source(state, read, present)
    return InputFacts(stage=read.stage, part=read.part, digest=read.digest, key=link.record.key if link else None)


def source(state: BuildState, read: InputRecord, present: Mapping[str, Record] = MappingProxyType({})) -> Link | None:
    """Return the result that gave a stage what it read: the artifact that is there, else one that the store keeps."""
    stage = state.plan.stages.get(read.stage)
    if stage is None:
        return None
    known = [present[read.stage]] if read.stage in present else ()
    found = (record for record in itertools.chain(known, records(state, stage)) if _has(record, read))
    record = next(found, None)
    return Link(stage, record) if record else None


def _has(record: Record, read: InputRecord) -> bool:
    if not read.part:
        return record.digest == read.digest
    try:
        return manifest_digest(record.outputs, read.part) == read.digest
    except DataError:
        return False


def records(state: BuildState, stage: Stage) -> Iterator[Record]:
    """Yield the records of `stage` that are left, the artifact's first, then the latest first; each key once."""
    present = state.workspace.record(stage)
    if present is not None:
        yield present
    seen = {present.key} if present else set()
    for entry in reversed(state.workspace.history(stage).entries()):
        if entry.key not in seen:
            seen.add(entry.key)
            record = state.store.trace(entry.key)
            if record is not None:
                yield record


def image_of(state: BuildState, link: Link) -> ImageFacts | None:
    """Return the facts of the image that `link` made; None if it made none, or its `image.json` is gone."""
    entry = link.record.outputs.get("image.json")
    if link.stage.kind != "image" or entry is None:
        return None
    return find_json(state.store.object_file(entry.digest), ImageFacts)


def find(state: BuildState, name: str) -> Link:
    """Return the result that `name` stands for: an image's digest, or what `doit diff` takes.

    Args:
        state: of the project's build.
        name: digest or id of an image (`sha256:...`, or 8 and more of its digits), a stage, `STAGE@N`, or the
            first digits of a key; empty: the project's image.

    Raises:
        PlanError: there is no such result, or its record is gone.
    """
    from modelyard.explain import past_results as results

    digest = name.removeprefix("sha256:")
    if not name or len(digest) >= _LEAST:
        for link in _images(state):
            image = image_of(state, link)
            if image and any(d.removeprefix("sha256:").startswith(digest) for d in (image.digest, image.image_id)):
                return link
    if not name or name.startswith("sha256:"):
        what = f"no image {name!r} that was built here" if name else "no image yet"
        msg = f"provenance: there is {what}\n  run `doit image`, or name a stage; `doit history image` lists them"
        raise PlanError(msg)
    result = results.find(state, name, "provenance")
    if result.record is None:
        msg = f"provenance: neither artifacts/ nor the store has the record of {result.name} any more"
        raise PlanError(msg)
    return Link(result.stage, result.record)


def _images(state: BuildState) -> Iterator[Link]:
    for stage in state.plan.of_kind("image"):
        yield from (Link(stage, record) for record in records(state, stage))


def chain(state: BuildState, last: Link) -> tuple[list[Link], list[InputRecord]]:
    """Return every result that `last` stands on, itself included, the first first; and inputs without a record."""
    found: dict[str, Link] = {last.record.key: last}
    lost: list[InputRecord] = []
    todo = [last]
    while todo:
        for read in todo.pop().record.inputs.values():
            link = source(state, read)
            if link is None:
                lost += [read] * (read not in lost)
            elif link.record.key not in found:
                found[link.record.key] = link
                todo.append(link)
    place = {name: index for index, name in enumerate(state.plan.stages)}
    return sorted(found.values(), key=lambda link: place[link.stage.id]), lost


def statement(state: BuildState, last: Link) -> dict[str, Any]:
    """Return the provenance of a result as an in-toto statement with an SLSA predicate.

    Source: in-toto Attestation Framework, Statement v1; SLSA Provenance v1.
    """
    links, lost = chain(state, last)
    steps = {link.stage.id: facts(state, link) for link in links}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": _subjects(state, last),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {name: {**s.components, **s.parameters} for name, s in steps.items()},
                "internalParameters": {"stages": steps, "withoutRecord": lost},
                "resolvedDependencies": list(_dependencies(steps)),
            },
            "runDetails": {
                "builder": {"id": BUILD_TYPE, "version": builder()},
                "metadata": {"invocationId": last.record.key, **_times(link.record for link in links)},
            },
        },
    }


def _times(made: Iterable[Record]) -> dict[str, str]:
    """Return when the first work began and the last ended, in UTC: each record has the time zone of its machine."""
    spans = [(datetime.fromisoformat(one.started).astimezone(UTC), one.duration_s) for one in made if one.started]
    if not spans:
        return {}
    ends = [began + timedelta(seconds=duration_s) for began, duration_s in spans]
    return {"startedOn": _utc(min(began for began, _ in spans)), "finishedOn": _utc(max(ends))}


def _utc(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _subjects(state: BuildState, link: Link) -> list[dict[str, Any]]:
    image = image_of(state, link)
    if image is not None:
        return [{"name": image.repository, "digest": {"sha256": image.digest.removeprefix("sha256:")}}]
    return [{"name": name, "digest": {"sha256": entry.digest}} for name, entry in link.record.outputs.items()]


def _dependencies(steps: dict[str, StageFacts]) -> Iterator[dict[str, Any]]:
    """Yield what came from outside: commits, files and installed distributions, each once."""
    for commit, clean in sorted({(s.commit, bool(s.clean)) for s in steps.values() if s.commit}):
        yield {"uri": "git+.", "digest": {"gitCommit": commit}, "annotations": {"clean": clean}}
    files = {(f"{stage}: {name}", digest) for stage, s in steps.items() for name, digest in s.files.items()}
    for name, digest in sorted(files):
        yield {"name": name, "digest": {"sha256": digest}}
    for name, version in sorted({pair for s in steps.values() for pair in s.tools.items()}):
        if name not in ("python", "machine") and version != "not installed":
            yield {"uri": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"}
