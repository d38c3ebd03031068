"""The configuration of the target `knative`.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

from typing import Any, Literal

import msgspec

from modelyard.params import NonNegativeInt, PositiveInt


class KnativeParams(msgspec.Struct, frozen=True, kw_only=True):
    """What the target `knative` takes.

    Attributes:
        name: what the objects are called; empty: like the project
        model_name: what the model is called in the URLs; empty: like the project
        namespace: the namespace; empty: that of the user's kubectl context
        kubernetes_version: the cluster's version, 1.29 or later
        public: give the Service an address outside of the cluster, too
        min_scale: how many pods at least; 0: none while nobody asks
        max_scale: how many pods at most; 0: as many as the cluster lets
        traffic: how many of a hundred requests each revision gets: REVISION = 90, latest = 10; left out: the latest gets all
        concurrency: how many requests a pod is given at a time at most; 0: as many as come
        target_concurrency: how many requests at a time a pod should have, before another is started; 0: the cluster's default
        timeout_s: how long a request may take, and a pod that stops
        cpu: the cpu that a pod is given
        cpu_limit: the cpu that a pod may use; empty: no limit
        memory: the memory that a pod is given; empty: what its server needs, as `check` has measured it, and 256Mi at least
        ephemeral_storage: room for logs and scratch files
        tmp_size: room in /tmp
        auth: ask for a user name and a password, except for events
        auth_secret: the Secret with the keys username and password; empty: NAME-auth
        env: more environment variables of the server
        log_level: what the server logs
        workers: processes that serve in a pod, each with its own copy of the model; auto: as many as the cpu limit has room for
        threads: threads a prediction; 0: a worker's share of the cpu limit, rounded up
        max_body_bytes: the largest request, and the largest event
        startup_s: how long loading the model may take
        allow_namespaces: the namespaces that may reach the pods: those of Knative Serving and of its ingress, which bring all
            requests; empty: any, and there is no NetworkPolicy
        image_pull_policy: when the image is pulled
        image_pull_secrets: the Secrets with the registry's passwords
        broker: the Broker whose events are answered; empty: no Trigger
        event_types: the types of the events that are answered
        filters: what else an event must meet, as a Trigger has it: exact, prefix, suffix, all, any, not, cesql
        audience: what events are asked for a token for, which Knative's own have; empty: they are asked for nothing
        issuer: who signs those tokens: the cluster, as its service accounts' tokens name it
        senders: whose tokens let in: system:serviceaccount:NAMESPACE:NAME, `*` at the end is anything; empty: any service account
            of the namespace, which the Trigger's is
        reply: give the answers to the broker
        dead_letter: where events go that cannot be answered: KIND/NAME of a Broker, a Channel, a Service or a
            KnativeService, or a URL; broker: where the Broker says
        retries: how often an event is brought again before that
        retry_delay_s: how long the first time is waited before that; then twice as long each time
        labels: more labels for every object
        annotations: more annotations for every object
        kube_context: the kubectl context to deploy to; empty: the current one
        rollout_timeout_s: how long deploy waits for the Service, and for the Trigger
        force_conflicts: let deploy take over fields, and objects, of other tools
        confirm: ask before deploy changes anything: this is production
    """

    name: str = ""
    model_name: str = ""
    namespace: str = ""
    kubernetes_version: str = "1.32"
    public: bool = False
    min_scale: NonNegativeInt = 0
    max_scale: NonNegativeInt = 6
    traffic: dict[str, int] | None = None
    concurrency: NonNegativeInt = 0
    target_concurrency: NonNegativeInt = 0
    timeout_s: PositiveInt = 60
    cpu: str = "250m"
    cpu_limit: str = "1"
    memory: str = ""
    ephemeral_storage: str = "64Mi"
    tmp_size: str = "16Mi"
    auth: bool = True
    auth_secret: str = ""
    env: dict[str, str] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    workers: PositiveInt | Literal["auto"] = 1
    threads: NonNegativeInt = 0
    max_body_bytes: PositiveInt = 8 * 1024 * 1024
    startup_s: PositiveInt = 60
    allow_namespaces: tuple[str, ...] = ()
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    broker: str = ""
    event_types: tuple[str, ...] = ()
    filters: tuple[dict[str, Any], ...] = ()
    audience: str = ""
    issuer: str = "https://kubernetes.default.svc.cluster.local"
    senders: tuple[str, ...] = ()
    reply: bool = True
    dead_letter: str = ""
    retries: NonNegativeInt = 5
    retry_delay_s: PositiveInt = 1
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    kube_context: str = ""
    rollout_timeout_s: PositiveInt = 300
    force_conflicts: bool = False
    confirm: bool = False
