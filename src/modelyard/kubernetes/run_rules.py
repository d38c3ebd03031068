"""Rules on how containers run: image, resources, health, and a clean stop."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from modelyard.kubernetes.findings import on_container, on_pod, on_server
from modelyard.kubernetes.objects import Bundle, Container, Pod, get, items, mapping, text
from modelyard.kubernetes.parameters import SERVER_MEMORY
from modelyard.kubernetes.syntax import quantity
from modelyard.launch.footprint import SMALL_BYTES, Footprint, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


@on_container("explicit-tag", "error", "name a tag that is not `latest`, or the digest alone")
def explicit_tag(_: Bundle, container: Container) -> Iterator[str]:
    """20: it is said which version runs."""
    image = text(container.spec, "image")
    if _tag(image) == "latest" or not (_tag(image) or _DIGEST.search(image)):
        yield f"container {container.name!r}: image {image!r} has no tag of its own"


@on_container("tag-beside-digest", "warning", "name the tag, too: REPOSITORY:TAG@sha256:...")
def tag_beside_digest(_: Bundle, container: Container) -> Iterator[str]:
    """20: a person can tell what runs."""
    image = text(container.spec, "image")
    if _DIGEST.search(image) and not _tag(image):
        yield f"container {container.name!r}: image {image!r} has a digest and no tag"


@on_container("image-digest", "error", "name the image by digest: REPOSITORY:TAG@sha256:...")
def image_digest(_: Bundle, container: Container) -> Iterator[str]:
    """21: what runs is what was checked."""
    if not _DIGEST.search(text(container.spec, "image")):
        yield f"container {container.name!r}: image {text(container.spec, 'image')!r} has no digest"


@on_container("pull-policy", "warning", "set imagePullPolicy: Always, or IfNotPresent, which is as good with a digest")
def pull_policy(_: Bundle, container: Container) -> Iterator[str]:
    """22: it is said when the image is fetched."""
    if not text(container.spec, "imagePullPolicy"):
        yield f"container {container.name!r} says not when its image is pulled"


@on_container("image-is-built", "error", "use `image.reference` of the build")
def image_is_built(bundle: Bundle, container: Container) -> Iterator[str]:
    """24: an image of the name that was built is the one that was built."""
    image = text(container.spec, "image")
    named, _, digest = bundle.image.partition("@")
    repository = named.rpartition(":")[0]
    same = image == repository or image.startswith((f"{repository}:", f"{repository}@"))
    if repository and same and image not in (bundle.image, named, f"{repository}@{digest}"):
        yield f"container {container.name!r}: image is {image!r}, the build made {bundle.image!r}"


@on_container("resources", "error", "set requests for cpu and memory, and a limit for memory")
def resources(_: Bundle, container: Container) -> Iterator[str]:
    """25: the scheduler knows what the container needs, and it cannot take a node's memory."""
    for part, key in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if get(container.spec, "resources", part, key) is None:
            yield f"container {container.name!r}: no {key} in {part}"


@on_server(
    "body-fits-memory", "error", "give it more memory, or allow smaller bodies (max_body_bytes) or fewer workers"
)
def body_fits_memory(bundle: Bundle, container: Container) -> Iterator[str]:
    """25: the largest body that the server allows can be taken, and its workers fit into the memory."""
    settings = _environment(bundle, container)
    memory = quantity(get(container.spec, "resources", "limits", "memory"))
    body = settings.get("MODELYARD_MAX_BODY_BYTES", "")
    if memory is None or not body.isdecimal():
        return
    cpus = quantity(get(container.spec, "resources", "limits", "cpu"))
    worker = quantity(container.pod.annotations.get(SERVER_MEMORY)) or SMALL_BYTES
    needs = Footprint(int(worker), int(body), workers_of(settings, float(cpus or 1)))
    if why := needs.problem(int(memory)):
        yield f"container {container.name!r}: {why}"


def _environment(bundle: Bundle, container: Container) -> dict[str, str]:
    """Return the variables of a container as far as the objects say them."""
    named = (text(source, "configMapRef", "name") for source in items(container.spec, "envFrom"))
    found = {
        key: str(value) for name in named for key, value in mapping(bundle.find("ConfigMap", name), "data").items()
    }
    return found | {text(one, "name"): text(one, "value") for one in items(container.spec, "env")}


@on_container("cpu-limit", "warning", "set a limit for cpu, or skip this rule with your reason")
def cpu_limit(_: Bundle, container: Container) -> Iterator[str]:
    """25: the container cannot take a node's processors."""
    if get(container.spec, "resources", "limits", "cpu") is None:
        yield f"container {container.name!r}: no cpu in limits"


@on_container("memory-as-requested", "warning", "set the same memory in requests and limits")
def memory_as_requested(_: Bundle, container: Container) -> Iterator[str]:
    """26: memory that is used is memory that was reserved."""
    requested, limit = (quantity(get(container.spec, "resources", part, "memory")) for part in ("requests", "limits"))
    if requested is not None and limit is not None and requested != limit:
        yield f"container {container.name!r}: memory is not the same in requests and limits"


@on_container("ephemeral-storage", "warning", "set ephemeral-storage in requests and limits")
def ephemeral_storage(_: Bundle, container: Container) -> Iterator[str]:
    """27: logs and scratch files are bounded."""
    for part in ("requests", "limits"):
        if get(container.spec, "resources", part, "ephemeral-storage") is None:
            yield f"container {container.name!r}: no ephemeral-storage in {part}"


@on_container("quantities", "error", "write a number with a suffix: 500m, 256Mi, 1Gi")
def quantities(_: Bundle, container: Container) -> Iterator[str]:
    """56: quantities can be read, are not negative, and no request is above its limit."""
    requests, limits = (mapping(container.spec, "resources", part) for part in ("requests", "limits"))
    for part in (requests, limits):
        for key, value in part.items():
            number = quantity(value)
            if number is None or number < 0:
                yield f"container {container.name!r}: {key} {value!r:.80} is not a quantity"
    for key in requests:
        if (quantity(requests[key]) or Decimal()) > (_bound(limits, key)):
            yield f"container {container.name!r}: {key} {requests[key]!r:.80} is above its limit {limits[key]!r:.80}"


def _bound(limits: object, key: str) -> Decimal:
    limit = quantity(get(limits, key))
    return Decimal("Infinity") if limit is None else limit


@on_pod("scratch-quantities", "error", "write a number with a suffix: 16Mi, 1Gi")
def scratch_quantities(_: Bundle, pod: Pod) -> Iterator[str]:
    """56: the size of a scratch folder can be read."""
    for volume in items(pod.spec, "volumes"):
        size = get(volume, "emptyDir", "sizeLimit")
        if size is not None and quantity(size) is None:
            yield f"volume {text(volume, 'name')!r}: sizeLimit {size!r:.80} is not a quantity"


@on_container("gpu-in-limits", "error", "name a GPU in limits alone, as a whole number")
def gpu_in_limits(_: Bundle, container: Container) -> Iterator[str]:
    """28: a GPU is asked for in the way that the device plugin reads."""
    requests, limits = (mapping(container.spec, "resources", part) for part in ("requests", "limits"))
    for key in sorted({str(one) for one in (*requests, *limits) if str(one).endswith("/gpu")}):
        number = quantity(get(limits, key))
        if number is None or number % 1:
            yield f"container {container.name!r}: {key} is {get(limits, key)!r} in limits"


@on_server("probes", "error", "add a readinessProbe and a livenessProbe")
def probes(_: Bundle, container: Container) -> Iterator[str]:
    """29: a server that cannot answer gets no request, one that hangs is started again."""
    yield from (f"container {container.name!r} has no {key}" for key in _PROBES[:2] if not mapping(container.spec, key))


@on_server("startup-probe", "warning", "add a startupProbe with time enough to load the model")
def startup_probe(_: Bundle, container: Container) -> Iterator[str]:
    """29: loading a model is not taken for hanging."""
    if not mapping(container.spec, "startupProbe"):
        yield f"container {container.name!r} has no startupProbe"


@on_server("probes-differ", "warning", "let the livenessProbe ask only whether the process answers")
def probes_differ(_: Bundle, container: Container) -> Iterator[str]:
    """29: a server that is merely not ready is not killed."""
    live, ready = (mapping(container.spec, key) for key in _PROBES[:2])
    if live and live == ready:
        yield f"container {container.name!r}: livenessProbe is the same as readinessProbe"


@on_server("probe-port", "error", "name a port of the container in the probe")
def probe_port(_: Bundle, container: Container) -> Iterator[str]:
    """30: a probe goes to a port that is declared."""
    ports = items(container.spec, "ports")
    known = [get(port, key) for port in ports for key in ("name", "containerPort")]
    for key in _PROBES:
        for how in ("httpGet", "tcpSocket", "grpc"):
            port = get(container.spec, key, how, "port")
            if port is not None and port not in known:
                yield f"container {container.name!r}: {key} goes to port {port!r}, which is not declared"


@on_server("probe-timing", "warning", "set periodSeconds, timeoutSeconds and failureThreshold")
def probe_timing(_: Bundle, container: Container) -> Iterator[str]:
    """31: how long until a failure counts is said."""
    for key in _PROBES:
        probe = mapping(container.spec, key)
        missing = [name for name in ("periodSeconds", "timeoutSeconds", "failureThreshold") if name not in probe]
        if probe and missing:
            yield f"container {container.name!r}: {key} leaves out {', '.join(missing)}"


@on_server("stop-in-time", "error", "make terminationGracePeriodSeconds longer than the preStop sleep and the drain")
def stop_in_time(_: Bundle, container: Container) -> Iterator[str]:
    """32: requests that are being answered are finished before the end."""
    sleep = get(container.spec, "lifecycle", "preStop", "sleep", "seconds")
    grace = get(container.pod.spec, "terminationGracePeriodSeconds")
    if isinstance(sleep, int) and sleep >= (grace if isinstance(grace, int) else 30):
        yield f"container {container.name!r}: preStop sleeps {sleep} s, of {30 if grace is None else grace} s in all"


@on_server("sleep-known", "error", "raise kubernetes_version to 1.30, or remove the preStop sleep")
def sleep_known(bundle: Bundle, container: Container) -> Iterator[str]:
    """32: the cluster knows `preStop.sleep`; before 1.30 it drops the field and refuses what is left."""
    if get(container.spec, "lifecycle", "preStop", "sleep") and bundle.version < 30:
        yield f"container {container.name!r}: preStop.sleep is off in 1.{bundle.version}"


@on_container("high-ports", "error", "listen on a port from 1024 and map it in the Service")
def high_ports(_: Bundle, container: Container) -> Iterator[str]:
    """45: no right is needed to listen."""
    for port in items(container.spec, "ports"):
        number = get(port, "containerPort")
        if isinstance(number, int) and number < 1024:
            yield f"container {container.name!r} listens on port {number}"


@on_pod("port-names", "error", "give each port a name of 1 to 15 lower-case letters, digits and '-', once a pod")
def port_names(_: Bundle, pod: Pod) -> Iterator[str]:
    """46: a port's name is legal and is one port's."""
    names = [text(port, "name") for one in pod.containers for port in items(one.spec, "ports")]
    for name in sorted(set(names)):
        legal = re.fullmatch(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*", name) and len(name) <= 15
        if not legal or names.count(name) > 1:
            yield f"port name {name!r} is not legal" if not legal else f"port name {name!r} is used twice"


@on_container("variables-once", "error", "remove one")
def variables_once(_: Bundle, container: Container) -> Iterator[str]:
    """47: a variable has one value."""
    names = [text(one, "name") for one in items(container.spec, "env")]
    yield from (f"variable {name!r} is set twice" for name in sorted(set(names)) if names.count(name) > 1)
