"""Rules on names, labels, versions and the bundle as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelyard.kubernetes import syntax
from modelyard.kubernetes.findings import on_kind, rule
from modelyard.kubernetes.objects import Bundle, Object, get, kind, label, mapping, text

_RECOMMENDED = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
)
_LABEL_NAMED = {"Service", "Namespace"}
_REMOVED = {
    "extensions/v1beta1": 16, "apps/v1beta1": 16, "apps/v1beta2": 16, "networking.k8s.io/v1beta1": 22,
    "policy/v1beta1": 25, "autoscaling/v2beta1": 25, "autoscaling/v2beta2": 26, "batch/v1beta1": 25,
    "rbac.authorization.k8s.io/v1beta1": 22, "flowcontrol.apiserver.k8s.io/v1beta2": 29,
    "flowcontrol.apiserver.k8s.io/v1beta3": 32,
}  # fmt: skip
_ORDER = (
    "Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service", "Deployment", "HorizontalPodAutoscaler",
    "Job", "keda.sh/TriggerAuthentication", "keda.sh/ScaledObject", "keda.sh/ScaledJob", "PodDisruptionBudget",
    "NetworkPolicy", "Ingress",
    "gateway.networking.k8s.io/HTTPRoute", "gateway.networking.k8s.io/BackendTLSPolicy",
)  # fmt: skip


@on_kind(name="recommended-labels", severity="warning", remedy="add the labels that Kubernetes' tools know")
def recommended_labels(_: Bundle, thing: Object) -> Iterator[str]:
    """52: tools can tell what belongs together."""
    labels = mapping(thing, "metadata", "labels")
    missing = [key for key in _RECOMMENDED if key not in labels]
    if missing and kind(thing) != "Namespace":
        yield f"lacks the labels {', '.join(missing)}"


@on_kind(name="label-syntax", severity="error", remedy="mend the label or annotation")
def label_syntax(bundle: Bundle, thing: Object) -> Iterator[str]:
    """52, 55: labels and annotations are as the API takes them, in the object and its pods."""
    metadata = mapping(thing, "metadata")
    yield from syntax.labels_problems(metadata.get("labels", {}))
    yield from syntax.annotations_problems(metadata.get("annotations", {}))
    for pod in bundle.pods:
        if pod.owner is thing and kind(thing) != "Pod":
            yield from syntax.labels_problems(pod.labels)
            yield from syntax.annotations_problems(get(thing, "spec", "template", "metadata", "annotations") or {})


@on_kind(name="namespace", severity="warning", remedy="give the service a namespace of its own")
def namespace(_: Bundle, thing: Object) -> Iterator[str]:
    """53: what is put into `default` stays there."""
    if get(thing, "metadata", "namespace") == "default":
        yield "is put into the namespace `default`"


@on_kind(name="api-versions", severity="error", remedy="use the version of the API that took its place")
def api_versions(bundle: Bundle, thing: Object) -> Iterator[str]:
    """54: the cluster still knows the API."""
    version = text(thing, "apiVersion")
    if _REMOVED.get(version, 1000) <= bundle.version:
        yield f"apiVersion {version!r} is gone since 1.{_REMOVED[version]}"


@on_kind(name="names", severity="error", remedy="mend metadata.name or metadata.namespace")
def names(_: Bundle, thing: Object) -> Iterator[str]:
    """55: names are as the API takes them."""
    name = get(thing, "metadata", "name")
    problem = syntax.dns_label(name) if kind(thing) in _LABEL_NAMED else syntax.dns_subdomain(name)
    where = get(thing, "metadata", "namespace")
    yield from filter(None, (problem, "" if where is None else syntax.dns_label(where)))


@on_kind(
    "Namespace",
    name="pod-security",
    severity="warning",
    remedy="label it pod-security.kubernetes.io/{enforce,audit,warn}: restricted",
)
def pod_security(_: Bundle, thing: Object) -> Iterator[str]:
    """57: the namespace refuses pods that are less strict."""
    labels = mapping(thing, "metadata", "labels")
    keys = ("enforce", "audit", "warn")
    yield from (
        f"does not {key} `restricted`"
        for key in keys
        if labels.get(f"pod-security.kubernetes.io/{key}") != "restricted"
    )
    if "pod-security.kubernetes.io/enforce-version" not in labels:
        yield "says not which version of `restricted`"


@on_kind(name="rendered", severity="error", remedy="mend the template")
def rendered(_: Bundle, thing: Object) -> Iterator[str]:
    """60: nothing of a template is left outside of annotations, which may hold any text."""
    for where, value in _texts(thing, ""):
        if ("{{" in value or "{%" in value) and ".metadata.annotations." not in where:
            yield f"{where[1:]} holds the mark of a template: {value!r:.80}"


def _texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{where}[{index}]")


def _whole(bundle: Bundle) -> list[Bundle]:
    return [bundle] if bundle.objects else []


@rule("once", "error", "give each object a name of its own", _whole, lambda bundle: bundle.objects[0])
def once(bundle: Bundle, _: Bundle) -> Iterator[str]:
    """60: no object is written twice, so that the last would win."""
    seen: set[tuple[str, str, str]] = set()
    for thing in bundle.objects:
        key = (kind(thing), str(get(thing, "metadata", "namespace")), text(thing, "metadata", "name"))
        if key in seen:
            yield f"{label(thing)} is there twice"
        seen.add(key)


@rule("order", "warning", "write what is needed first: Namespace, ServiceAccount, ConfigMap, Service, Deployment, ...",
      _whole, lambda bundle: bundle.objects[0])  # fmt: skip
def order(bundle: Bundle, _: Bundle) -> Iterator[str]:
    """58: objects stand in the order in which they need each other."""
    ranks = [_ORDER.index(kind(thing)) for thing in bundle.objects if kind(thing) in _ORDER]
    if ranks != sorted(ranks):
        yield "the objects are not in the order in which they need each other"
