"""Rules on what belongs to what: selectors, services, autoscaling, budgets, network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.kubernetes.findings import on_kind, on_pod
from modelyard.kubernetes.objects import Bundle, Object, Pod, get, items, kind, mapping, selects, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALED = ("Deployment", "StatefulSet")
_SCALERS = ("HorizontalPodAutoscaler", "keda.sh/ScaledObject")
_UNSTABLE = ("app.kubernetes.io/version", "helm.sh/chart", "version")


def _scaler(bundle: Bundle, thing: Object) -> Object | None:
    return next((one for one in bundle.of(*_SCALERS) if _scales(one, thing)), None)


def _scales(scaler: Object, thing: Object) -> bool:
    """Tell whether an autoscaler says how many pods `thing` has."""
    target = mapping(scaler, "spec", "scaleTargetRef")
    same = text(target, "name") == text(thing, "metadata", "name")
    return same and text(target, "kind") in (kind(thing), "")


@on_kind(*_SCALED, name="replicas", severity="warning", remedy="run 2 replicas or more")
def replicas(bundle: Bundle, thing: Object) -> Iterator[str]:
    """33: a node that is drained does not stop the service."""
    count = get(thing, "spec", "replicas")
    if _scaler(bundle, thing) is None and (not isinstance(count, int) or count < 2):
        yield f"runs {1 if count is None else count} replica"


@on_kind(
    *_SCALED, name="replicas-or-autoscaler", severity="error", remedy="leave spec.replicas out: the autoscaler sets it"
)
def replicas_or_autoscaler(bundle: Bundle, thing: Object) -> Iterator[str]:
    """33: a new version does not undo what the autoscaler did."""
    if _scaler(bundle, thing) is not None and get(thing, "spec", "replicas") is not None:
        yield "sets replicas, which an autoscaler sets too"


@on_kind(
    "Deployment", name="rolling-update", severity="warning", remedy="set maxUnavailable: 0 and maxSurge: 1 or more"
)
def rolling_update(_: Bundle, thing: Object) -> Iterator[str]:
    """34: a new version takes no capacity away."""
    strategy = mapping(thing, "spec", "strategy")
    if text(strategy, "type") == "Recreate" or get(strategy, "rollingUpdate", "maxUnavailable") not in (0, "0%"):
        yield "an update takes pods away before new ones are ready"


@on_kind(
    "Deployment", name="budget-exists", severity="warning", remedy="add a PodDisruptionBudget that selects its pods"
)
def budget_exists(bundle: Bundle, thing: Object) -> Iterator[str]:
    """35: nodes are drained one pod at a time."""
    labels = mapping(thing, "spec", "template", "metadata", "labels")
    budgets = bundle.of("PodDisruptionBudget")
    if not any(selects(get(one, "spec", "selector", "matchLabels"), labels) for one in budgets):
        yield "no PodDisruptionBudget selects its pods"


@on_kind("PodDisruptionBudget", name="budget-allows", severity="error", remedy="set maxUnavailable: 1")
def budget_allows(bundle: Bundle, budget: Object) -> Iterator[str]:
    """35: a node can be drained at all."""
    pods = bundle.selected(get(budget, "spec", "selector", "matchLabels"))
    if not pods:
        yield "selects no pod"
    if get(budget, "spec", "maxUnavailable") in (0, "0%") or get(budget, "spec", "minAvailable") == "100%":
        yield "allows no disruption"
    least = get(budget, "spec", "minAvailable")
    for pod in pods:
        scaler = _scaler(bundle, pod.owner)
        count = get(scaler, "spec", "minReplicas") if scaler else get(pod.owner, "spec", "replicas")
        if isinstance(least, int) and least >= (count if isinstance(count, int) else 1):
            yield f"wants {least} of {count if isinstance(count, int) else 1} pods to stay"


@on_kind(
    "PodDisruptionBudget",
    name="budget-unhealthy",
    severity="warning",
    remedy="set unhealthyPodEvictionPolicy: AlwaysAllow",
)
def budget_unhealthy(_: Bundle, budget: Object) -> Iterator[str]:
    """36: a pod that is broken does not keep a node from being drained."""
    if not text(budget, "spec", "unhealthyPodEvictionPolicy"):
        yield "says not what happens to pods that are broken"


@on_kind(
    *_SCALED,
    name="spread",
    severity="warning",
    remedy="add topologySpreadConstraints, or podAntiAffinity, with the pods' labels",
)
def spread(_: Bundle, thing: Object) -> Iterator[str]:
    """37: one node does not hold all pods."""
    template = mapping(thing, "spec", "template")
    labels = mapping(template, "metadata", "labels")
    constraints = items(template, "spec", "topologySpreadConstraints")
    spread_out = any(selects(get(one, "labelSelector", "matchLabels"), labels) for one in constraints)
    if not spread_out and not get(template, "spec", "affinity", "podAntiAffinity"):
        yield "its pods may all be put on one node"


@on_kind(*_SCALED, name="one-autoscaler", severity="error", remedy="remove the HorizontalPodAutoscaler: KEDA makes one")
def one_autoscaler(bundle: Bundle, thing: Object) -> Iterator[str]:
    """38: no two autoscalers undo what the other does."""
    scalers = [one for one in bundle.of(*_SCALERS) if _scales(one, thing)]
    if len(scalers) > 1:
        yield f"is scaled by {' and '.join(text(one, 'kind') + '/' + text(one, 'metadata', 'name') for one in scalers)}"


@on_kind(
    "HorizontalPodAutoscaler",
    "keda.sh/ScaledObject",
    name="autoscaler-target",
    severity="error",
    remedy="name a Deployment of the same objects",
)
def autoscaler_target(bundle: Bundle, scaler: Object) -> Iterator[str]:
    """38: what is scaled is there, and there is room to scale."""
    target = mapping(scaler, "spec", "scaleTargetRef")
    which = text(target, "kind") or "Deployment"
    if bundle.find(which, text(target, "name")) is None:
        yield f"scales {which}/{text(target, 'name')}, which is not there"
    word = "Replicas" if kind(scaler) == "HorizontalPodAutoscaler" else "ReplicaCount"
    least, most = get(scaler, "spec", f"min{word}"), get(scaler, "spec", f"max{word}")
    if isinstance(least, int) and isinstance(most, int) and most <= least:
        yield f"max{word} {most} is not above min{word} {least}"


@on_kind("HorizontalPodAutoscaler", name="autoscaler-floor", severity="warning", remedy="set minReplicas: 2 or more")
def autoscaler_floor(_: Bundle, scaler: Object) -> Iterator[str]:
    """38: a quiet night leaves more than one pod."""
    least = get(scaler, "spec", "minReplicas")
    if not isinstance(least, int) or least < 2:
        yield f"minReplicas is {1 if least is None else least}"


@on_kind(
    "Deployment",
    name="rollout-bounds",
    severity="warning",
    remedy="set revisionHistoryLimit and progressDeadlineSeconds",
)
def rollout_bounds(_: Bundle, thing: Object) -> Iterator[str]:
    """40: it is said when a rollout has failed, and how many old ones are kept."""
    keys = ("revisionHistoryLimit", "progressDeadlineSeconds")
    yield from (f"says no {key}" for key in keys if get(thing, "spec", key) is None)


@on_kind("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", name="selector-matches", severity="error",
         remedy="give the pod template the labels that the selector names")  # fmt: skip
def selector_matches(_: Bundle, thing: Object) -> Iterator[str]:
    """41: an object selects its own pods."""
    selector = mapping(thing, "spec", "selector")
    labels = mapping(thing, "spec", "template", "metadata", "labels")
    if not get(selector, "matchExpressions") and not selects(get(selector, "matchLabels"), labels):
        yield "its selector does not match its own pods"


@on_kind("Deployment", "StatefulSet", "DaemonSet", name="stable-selector", severity="error",
         remedy="select by name and instance only: a selector cannot be changed later")  # fmt: skip
def stable_selector(_: Bundle, thing: Object) -> Iterator[str]:
    """41: the next version can be applied."""
    selector = mapping(thing, "spec", "selector", "matchLabels")
    yield from (f"selects by {key!r}" for key in _UNSTABLE if key in selector)


@on_kind(
    "Service",
    name="service-selects",
    severity="error",
    remedy="let the selector be the pods' labels and targetPort a port's name",
)
def service_selects(bundle: Bundle, service: Object) -> Iterator[str]:
    """42: a request to the Service reaches a port of a pod."""
    selector = get(service, "spec", "selector")
    if not selector or text(service, "spec", "type") == "ExternalName":
        return
    pods = bundle.selected(selector)
    if not pods:
        yield "selects no pod"
        return
    ports = [port for pod in pods for one in pod.containers for port in items(one.spec, "ports")]
    known = [get(port, key) for port in ports for key in ("name", "containerPort")]
    for port in items(service, "spec", "ports"):
        wanted = get(port, "targetPort") if get(port, "targetPort") is not None else get(port, "port")
        if wanted not in known:
            yield f"targetPort {wanted!r} is no port of its pods"


@on_kind("Service", name="cluster-ip", severity="warning", remedy="use ClusterIP behind an Ingress")
def cluster_ip(_: Bundle, service: Object) -> Iterator[str]:
    """42: no port of every node is opened."""
    if text(service, "spec", "type") == "NodePort":
        yield "is a NodePort"


@on_kind("Ingress", name="ingress-backend", severity="error", remedy="name a Service of the same objects, and its port")
def ingress_backend(bundle: Bundle, ingress: Object) -> Iterator[str]:
    """43: a request from outside reaches a Service."""
    paths = [path for one in items(ingress, "spec", "rules") for path in items(one, "http", "paths")]
    backends = [mapping(path, "backend", "service") for path in paths] + [
        mapping(ingress, "spec", "defaultBackend", "service")
    ]
    for backend in filter(None, backends):
        service = bundle.find("Service", text(backend, "name"))
        if service is None:
            yield f"Service {text(backend, 'name')!r} is not there"
            continue
        for how, key in (("name", "name"), ("number", "port")):
            wanted = get(backend, "port", how)
            if wanted is not None and wanted not in [get(port, key) for port in items(service, "spec", "ports")]:
                yield f"Service {text(backend, 'name')!r} has no port {wanted!r}"


@on_kind("Ingress", name="ingress-tls", severity="error", remedy="list the host in spec.tls, with a Secret")
def ingress_tls(_: Bundle, ingress: Object) -> Iterator[str]:
    """43: nothing goes in clear over the net."""
    covered = {str(host) for entry in items(ingress, "spec", "tls") for host in items(entry, "hosts")}
    for entry in items(ingress, "spec", "rules"):
        if text(entry, "host") not in covered:
            yield f"host {text(entry, 'host')!r} has no TLS"


@on_pod("network-policy", "warning", "add a NetworkPolicy that selects the pod, with Ingress and Egress")
def network_policy(bundle: Bundle, pod: Pod) -> Iterator[str]:
    """44: the pod talks to nobody but whom it must."""
    policies = bundle.of("NetworkPolicy")
    mine = [one for one in policies if selects(get(one, "spec", "podSelector", "matchLabels"), pod.labels)]
    types = {str(which) for one in mine for which in items(one, "spec", "policyTypes")}
    yield from (f"no NetworkPolicy bounds its {which}" for which in ("Ingress", "Egress") if which not in types)


@on_pod("config-exists", "error", "add the ConfigMap, or mark the reference as optional")
def config_exists(bundle: Bundle, pod: Pod) -> Iterator[str]:
    """48: a ConfigMap that a pod waits for comes with it."""
    references = [mapping(volume, "configMap") for volume in items(pod.spec, "volumes")]
    references += [mapping(one, "configMapRef") for each in pod.containers for one in items(each.spec, "envFrom")]
    for each in pod.containers:
        references += [mapping(one, "valueFrom", "configMapKeyRef") for one in items(each.spec, "env")]
    for reference in references:
        if reference and not get(reference, "optional") and bundle.find("ConfigMap", text(reference, "name")) is None:
            yield f"ConfigMap {text(reference, 'name')!r} is not there"


@on_kind(
    "monitoring.coreos.com/ServiceMonitor",
    name="monitor-selects",
    severity="warning",
    remedy="select the Service's labels",
)
def monitor_selects(bundle: Bundle, monitor: Object) -> Iterator[str]:
    """49: what is to be measured is found."""
    selector = get(monitor, "spec", "selector", "matchLabels")
    if not any(selects(selector, mapping(one, "metadata", "labels")) for one in bundle.of("Service")):
        yield "selects no Service"


@on_pod("no-service-links", "warning", "set enableServiceLinks: false")
def no_service_links(_: Bundle, pod: Pod) -> Iterator[str]:
    """50: other Services do not put variables into the environment."""
    if get(pod.spec, "enableServiceLinks") is not False:
        yield "gets a variable of every Service in the namespace"


@on_kind(
    "Job",
    name="job-ends",
    severity="warning",
    remedy="set ttlSecondsAfterFinished, backoffLimit and activeDeadlineSeconds",
)
def job_ends(_: Bundle, job: Object) -> Iterator[str]:
    """51: a job ends, and goes."""
    keys = ("ttlSecondsAfterFinished", "backoffLimit", "activeDeadlineSeconds")
    yield from (f"says no {key}" for key in keys if get(job, "spec", key) is None)
