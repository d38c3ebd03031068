"""The configuration of a target that renders Kubernetes objects.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

from typing import Any, Literal

import msgspec

from modelyard.params import NonNegativeInt, PositiveInt


class KubernetesParams(msgspec.Struct, frozen=True, kw_only=True):
    """What a target that renders Kubernetes objects takes.

    Attributes:
        name: what the objects are called; empty: like the project. Another name lets two environments share a namespace
        model_name: what the model is called in the URLs; empty: like the project
        namespace: the namespace; empty: that of the user's kubectl context
        create_namespace: also render the Namespace, which then refuses pods that are less strict
        kubernetes_version: the cluster's version, 1.29 or later
        replicas: how many pods at least
        max_replicas: how many pods the autoscaler may make; the same as replicas: no autoscaler
        target_cpu_percent: share of the requested cpu above which pods are added
        events_per_replica: how many events that wait at the broker KEDA adds a pod for; 0: pods are not counted by events
        events_monitor: the monitoring port of NATS, or RabbitMQ's management, by which KEDA counts them: HOST:PORT
        events_jobs: how many Jobs of KEDA's at most answer the events that wait, and end; 0: the pods of the Deployment do
        scale_on: what else KEDA adds pods for, beside the cpu: triggers as a ScaledObject has them, with type and metadata.
            With neither, there is no KEDA
        scale_secrets: what the triggers' scalers are given of Secrets: PARAMETER = "SECRET/KEY"
        scale_to_zero: let KEDA take the last pod away while no trigger asks for one
        cpu: the cpu that a pod is given
        cpu_limit: the cpu that a pod may use; empty: no limit
        memory: the memory that a pod is given; empty: what its server needs, as `check` has measured it, and 256Mi at least
        memory_limit: the memory that a pod may use; empty: the same as memory
        ephemeral_storage: room for logs and scratch files
        tmp_size: room in /tmp
        port: the port that the server, or the proxy, listens on; 0: the image's, or the proxy's: 8443 with TLS, else 8080
        service_port: the port of the Service; 0: 443 with TLS, else 80
        auth: ask for a user name and a password
        auth_secret: the Secret with the keys username and password (for a proxy: the key htpasswd); empty: NAME-auth
        tls: serve HTTPS
        tls_secret: the Secret of type kubernetes.io/tls; empty: NAME-tls
        tls_server_name: the name in the certificate, for Prometheus and a Gateway; empty: NAME.NAMESPACE.svc
        events_url: the broker that the server takes events from, without user name and password; empty: from none
        events_secret: the Secret with the keys username and password for the broker; empty: it asks for none
        events_ca_secret: the Secret with the key ca.crt by which the broker's certificate is trusted; empty: as the image trusts
        events_tls_secret: the Secret of type kubernetes.io/tls that is shown to the broker; empty: none is
        env: more environment variables of the server
        env_from_secrets: more, each with the Secret and the key that hold its value: VARIABLE = "SECRET/KEY". The value is
            a file, and the variable VARIABLE_FILE names it
        proxy_image: the nginx image, NAME:TAG@sha256:..., in front of a server that has neither a password nor TLS
        proxy_cpu: the cpu that the proxy is given
        proxy_memory: the memory that the proxy may use
        log_level: what the server, or the proxy, logs
        workers: processes that serve in a pod, each with its own copy of the model; auto: as many as the cpu limit has room for
        threads: threads a prediction; 0: a worker's share of the cpu limit, rounded up
        max_body_bytes: the largest request
        startup_s: how long loading the model may take
        drain_s: how long a pod that stops goes on taking requests, until every node knows that it left the Service
        grace_s: how long requests that are then being answered may take
        network_policy: allow no traffic but requests to the server
        allow_namespaces: the namespaces whose pods may send requests; empty: any source
        allow_scrapers: the namespaces that may send requests, too, for they read /metrics; none are needed without
            allow_namespaces
        service_monitor: render a ServiceMonitor of the Prometheus operator, with the password and the certificate of the Secrets
        service_monitor_labels: the labels by which a Prometheus chooses its ServiceMonitors
        scrape_interval_s: how often /metrics is read
        ingress_host: the host name of an Ingress with TLS; empty: no Ingress
        ingress_class: the class of the Ingress; empty: the cluster's default
        ingress_tls_secret: the Secret with the Ingress's certificate; empty: NAME-ingress-tls
        ingress_annotations: annotations for the Ingress alone
        gateway: the Gateway that an HTTPRoute is attached to, NAME or NAMESPACE/NAME; empty: no HTTPRoute
        gateway_listener: the listener of the Gateway; empty: every one that lets the route in
        gateway_hosts: the host names of the HTTPRoute; empty: those of the listener
        gateway_models: let the HTTPRoute take the requests to this model alone, by its name in the path, so that several
            share a host
        gateway_weights: the Services among which the HTTPRoute shares its requests, each with its weight: NAME = 90,
            OTHER = 10; left out: all go to the own one
        gateway_ca: the ConfigMap with the key ca.crt by which the Gateway trusts the pods' certificate; empty: no
            BackendTLSPolicy
        image_reference: how the image is named: digest, REPOSITORY:TAG@sha256:...; tag, REPOSITORY:TAG, for clusters into
            which it is loaded from the archive, and which know no digest
        image_pull_policy: when the image is pulled; with a digest, IfNotPresent is as safe as Always, and needs no registry
            to start a pod again
        image_pull_secrets: the Secrets with the registry's passwords
        priority_class: the PriorityClass of the pods
        node_selector: the labels of the nodes that may run the pods, beside the image's architecture
        tolerations: the taints that the pods tolerate, as a pod has them
        affinity: the affinity of the pods, as a pod has it
        spread_over: the labels of nodes over whose values the pods are spread
        spread_strictly: rather leave a pod waiting than spread the pods unevenly
        gpus: how many GPUs a pod is given; their usual taint is tolerated
        gpu_resource: what the cluster calls a GPU
        labels: more labels for every object
        annotations: more annotations for every object
        kube_context: the kubectl context to deploy to; empty: the current one
        rollout_timeout_s: how long deploy waits for the pods
        force_conflicts: let deploy take over fields, and objects, of other tools
        confirm: ask before deploy changes anything: this is production
    """

    name: str = ""
    model_name: str = ""
    namespace: str = ""
    create_namespace: bool = False
    kubernetes_version: str = "1.32"
    replicas: PositiveInt = 2
    max_replicas: PositiveInt = 6
    target_cpu_percent: PositiveInt = 70
    events_per_replica: NonNegativeInt = 0
    events_monitor: str = ""
    events_jobs: NonNegativeInt = 0
    scale_on: tuple[dict[str, Any], ...] = ()
    scale_secrets: dict[str, str] | None = None
    scale_to_zero: bool = False
    cpu: str = "250m"
    cpu_limit: str = "1"
    memory: str = ""
    memory_limit: str = ""
    ephemeral_storage: str = "64Mi"
    tmp_size: str = "16Mi"
    port: NonNegativeInt = 0
    service_port: NonNegativeInt = 0
    auth: bool = True
    auth_secret: str = ""
    tls: bool = True
    tls_secret: str = ""
    tls_server_name: str = ""
    events_url: str = ""
    events_secret: str = ""
    events_ca_secret: str = ""
    events_tls_secret: str = ""
    env: dict[str, str] | None = None
    env_from_secrets: dict[str, str] | None = None
    proxy_image: str = ""
    proxy_cpu: str = "100m"
    proxy_memory: str = "64Mi"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    workers: PositiveInt | Literal["auto"] = 1
    threads: NonNegativeInt = 0
    max_body_bytes: PositiveInt = 8 * 1024 * 1024
    startup_s: PositiveInt = 60
    drain_s: NonNegativeInt = 10
    grace_s: PositiveInt = 20
    network_policy: bool = True
    allow_namespaces: tuple[str, ...] = ()
    allow_scrapers: tuple[str, ...] = ()
    service_monitor: bool = False
    service_monitor_labels: dict[str, str] | None = None
    scrape_interval_s: PositiveInt = 30
    ingress_host: str = ""
    ingress_class: str = ""
    ingress_tls_secret: str = ""
    ingress_annotations: dict[str, str] | None = None
    gateway: str = ""
    gateway_listener: str = ""
    gateway_hosts: tuple[str, ...] = ()
    gateway_models: bool = False
    gateway_weights: dict[str, int] | None = None
    gateway_ca: str = ""
    image_reference: Literal["digest", "tag"] = "digest"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    priority_class: str = ""
    node_selector: dict[str, str] | None = None
    tolerations: tuple[dict[str, Any], ...] = ()
    affinity: dict[str, Any] | None = None
    spread_over: tuple[str, ...] = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    spread_strictly: bool = False
    gpus: NonNegativeInt = 0
    gpu_resource: str = "nvidia.com/gpu"
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    kube_context: str = ""
    rollout_timeout_s: PositiveInt = 300
    force_conflicts: bool = False
    confirm: bool = False
