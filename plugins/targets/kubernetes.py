"""Deploy target `kubernetes`: objects that pass the Pod Security Standard `restricted`, and `kubectl` to apply them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import Problem
from modelyard.kubernetes.target_params import KubernetesParams
from modelyard_plugins.support import broker, proxy
from modelyard_plugins.support.kubectl import DEPLOY_ONLY, preflight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext, DeployContext, TargetContext
    from modelyard.hookspecs import RegisterTarget
    from modelyard.kubernetes.exposure import Proxy

# The files are applied in this order: each object after those that it needs.
_FILES = {
    "00-namespace.yaml": "kubernetes/namespace.yaml.j2",
    "10-serviceaccount.yaml": "kubernetes/serviceaccount.yaml.j2",
    "20-configmap.yaml": "kubernetes/configmap.yaml.j2",
    "30-service.yaml": "kubernetes/service.yaml.j2",
    "40-deployment.yaml": "kubernetes/deployment.yaml.j2",
    "50-horizontalpodautoscaler.yaml": "kubernetes/horizontalpodautoscaler.yaml.j2",
    "51-events-setup.yaml": "kubernetes/eventssetup.yaml.j2",
    "52-triggerauthentication.yaml": "kubernetes/triggerauthentication.yaml.j2",
    "54-scaledobject.yaml": "kubernetes/scaledobject.yaml.j2",
    "56-scaledjob.yaml": "kubernetes/scaledjob.yaml.j2",
    "60-poddisruptionbudget.yaml": "kubernetes/poddisruptionbudget.yaml.j2",
    "70-networkpolicy.yaml": "kubernetes/networkpolicy.yaml.j2",
    "72-networkpolicy-events.yaml": "kubernetes/networkpolicy.yaml.j2",
    "80-ingress.yaml": "kubernetes/ingress.yaml.j2",
    "82-httproute.yaml": "kubernetes/httproute.yaml.j2",
    "83-backendtlspolicy.yaml": "kubernetes/backendtlspolicy.yaml.j2",
    "85-servicemonitor.yaml": "kubernetes/servicemonitor.yaml.j2",
}
_KUSTOMIZATION = "kubernetes/kustomization.yaml.j2"
_SETUP = "51-events-setup.yaml"
_POLICY_OF_JOBS = "72-networkpolicy-events.yaml"


def kubernetes(context: TargetContext, *, params: KubernetesParams) -> None:
    """Objects for a Kubernetes cluster, checked against its rules and schema; deployed with kubectl.

    Args:
        context: the image, the model's facts, and where to write
        params: the configuration
    """
    from modelyard.kubernetes.values import template_values

    before = _proxy(context, params) if proxy.proxied(context, params) else None
    values = template_values(context, params, before)
    left_out = {
        "20-configmap.yaml": not values["settings"],
        "00-namespace.yaml": not params.create_namespace,
        "50-horizontalpodautoscaler.yaml": values["triggers"] or not values["autoscaled"],
        "52-triggerauthentication.yaml": not values["trigger_secrets"],
        "54-scaledobject.yaml": not values["triggers"],
        _SETUP: not params.events_jobs,
        "56-scaledjob.yaml": not params.events_jobs,
        "70-networkpolicy.yaml": not params.network_policy,
        _POLICY_OF_JOBS: not (params.events_jobs and params.network_policy),
        "80-ingress.yaml": not params.ingress_host,
        "82-httproute.yaml": not params.gateway,
        "83-backendtlspolicy.yaml": not params.gateway_ca,
        "85-servicemonitor.yaml": not params.service_monitor,
    }
    files = [file for file in _FILES if not left_out.get(file)]
    for file in files:
        context.write(file, context.render(_FILES[file], **(_of_jobs(values) if file == _POLICY_OF_JOBS else values)))
    context.write("kustomization.yaml", context.render(_KUSTOMIZATION, files=files))
    _name_config(context, values["config_name"])
    if params.events_jobs:
        _name_setup(context, values)


def _of_jobs(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values for the NetworkPolicy of the Jobs that answer events: nobody sends to them, they ask the broker."""
    return {
        **values,
        "name": values["job_name"],
        "selector": values["job_selector"],
        "open_ports": [],
        "broker_port": values["job_broker_port"],
    }


def _name_config(context: TargetContext, name: str) -> None:
    """Let a project's own template of the ConfigMap put more into it: it is named by all that it holds."""
    from modelyard.kubernetes.config_names import rename_configs
    from modelyard.kubernetes.manifests import amend

    amend(context.out, lambda documents: rename_configs(documents, {name}))


def _name_setup(context: TargetContext, values: dict[str, Any]) -> None:
    """Write the Job that sets up once more, with the name that says what it holds, whatever template that is from."""
    from modelyard.kubernetes.config_names import right_name
    from modelyard.kubernetes.manifests import read_file

    [job] = read_file(context.out / _SETUP)
    context.write(_SETUP, context.render(_FILES[_SETUP], **{**values, "setup_name": right_name(job)}))


def check(context: CheckContext, *, params: KubernetesParams) -> Iterator[Problem]:
    """Yield what a cluster does not allow, and what has no effect with the runtime's server."""
    from modelyard.kubernetes.parameters import problems, several_problems

    yield from problems(params, reads_settings=context.reads_settings)
    yield from several_problems(params, context.models)
    if params.gateway_weights:
        from modelyard.kubernetes.routing import weights_problems  # most have none

        yield from weights_problems(params, context.name)
    yield from proxy.problems(context, params)
    others = ("events_secret", "events_ca_secret", "events_tls_secret", "events_per_replica", "events_jobs")
    yield from broker.problems(context, params.events_url, {key: getattr(params, key) for key in others})
    if params.service_monitor and not context.reads_settings:
        why = f"the server of the runtime {context.runtime!r} has its metrics elsewhere, and a proxy before them"
        yield Problem("service_monitor", why, "remove it, and write a ServiceMonitor of your own")


def _proxy(context: TargetContext, params: KubernetesParams) -> Proxy:
    from modelyard.kubernetes.exposure import Proxy
    from modelyard.kubernetes.secret_files import PATHS

    places = {"host": "127.0.0.1", "auth_file": f"{PATHS['auth']}/htpasswd", "tls_folder": PATHS["tls"]}
    text = proxy.configuration(context, params, **places)
    command = proxy.command(params, PATHS["tls"])
    return Proxy.of(params.proxy_image, command, proxy.proxy_port(params), proxy.CONFIG, text, proxy.LIVE)


def deploy(context: DeployContext, *, params: KubernetesParams) -> None:
    """Apply the objects with kubectl, wait for the pods, and say what happened."""
    from modelyard.kubernetes.deploying.deploying import deploy as apply

    apply(context, params)


def undeploy(context: DeployContext, *, params: KubernetesParams) -> None:
    """Remove what was deployed."""
    from modelyard.kubernetes.deploying.undeploying import undeploy as remove

    remove(context, params)


@hookimpl
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register the target."""
    register(
        "kubernetes",
        kubernetes,
        templates=(*_FILES.values(), _KUSTOMIZATION, proxy.TEMPLATE),
        deploy=deploy,
        undeploy=undeploy,
        deploy_only=DEPLOY_ONLY,
        tools=("jinja2",),
        check=check,
        preflight=preflight,
    )
