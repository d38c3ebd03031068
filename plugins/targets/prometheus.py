"""Deploy target `prometheus`: alerts and a dashboard for what the server tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import Problem
from modelyard.params import OpenFraction, PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext, TargetContext
    from modelyard.hookspecs import RegisterTarget

_FILES = {
    "rules.yaml": "prometheus/rules.yaml.j2",
    "prometheusrule.yaml": "prometheus/prometheusrule.yaml.j2",
    "dashboard.json": "prometheus/dashboard.json.j2",
}
_RULES = "prometheus/_rules.yaml.j2"


def prometheus(
    context: TargetContext,
    *,
    job: str = "",
    namespace: str = "",
    labels: dict[str, str] | None = None,
    slow_s: PositiveFloat = 0.5,
    max_error_ratio: OpenFraction = 0.01,
    certificate_days: PositiveInt = 7,
) -> None:
    """Alerts for Prometheus, with its operator and without, and a dashboard for Grafana.

    Args:
        context: the project's name, and where to write
        job: the job by which Prometheus knows the servers; empty: the project's name, as with a ServiceMonitor
        namespace: the namespace of the PrometheusRule; empty: that of the user's kubectl context
        labels: the labels by which a Prometheus chooses its PrometheusRules
        slow_s: how long one answer in a hundred may take, in seconds
        max_error_ratio: the share of requests that may fail, and that may be refused for want of room
        certificate_days: how long before the certificate's end there is an alert, in days
    """
    from modelyard.kubernetes import syntax
    from modelyard.kubernetes.parameters import OWN_LABELS

    name = job or context.name
    own = (context.name, name, syntax.as_label_value(context.version), "modelyard")
    values = {
        "job": name,
        "namespace": namespace,
        "labels": {**(labels or {}), **dict(zip(OWN_LABELS, own, strict=True))},
        "slow_s": slow_s,
        "max_error_ratio": max_error_ratio,
        "certificate_days": certificate_days,
        "several": bool(context.models),
    }
    for file, template in _FILES.items():
        context.write(file, context.render(template, **values))


def check(
    context: CheckContext, *, job: str, namespace: str, labels: dict[str, str] | None, **_: Any
) -> Iterator[Problem]:
    """Yield what Kubernetes or Prometheus does not allow, and a runtime whose server has other metrics."""
    from modelyard.kubernetes import syntax

    if not context.reads_settings:
        why = f"the server of the runtime {context.runtime!r} has metrics of its own, which these alerts do not know"
        yield Problem("job", why, "remove the target")
    if job and syntax.dns_subdomain(job):
        yield Problem("job", "a PrometheusRule is called so", f"allowed: {syntax.DNS_SUBDOMAIN}")
    if namespace and syntax.dns_label(namespace):
        yield Problem("namespace", "it is not a DNS label", f"allowed: {syntax.DNS_LABEL}")
    for why in syntax.labels_problems(labels or {}):
        yield Problem("labels", why, "mend it, or leave it out")


@hookimpl
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register the target."""
    register("prometheus", prometheus, templates=(*_FILES.values(), _RULES), tools=("jinja2",), check=check)
