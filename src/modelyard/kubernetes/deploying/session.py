"""One deploy: what was asked for, where it goes, and what is found out on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.identity import Identity, as_stream, from_list, identity, service_name
from modelyard.kubernetes.objects import label

if TYPE_CHECKING:
    from modelyard.contexts import DeployContext, Rendered
    from modelyard.kubernetes.deploying.cluster import Cluster
    from modelyard.kubernetes.deploying.workloads import Workload
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object


class DeployParams(Protocol):
    """Those of a target's parameters that count when what it rendered is deployed, or taken away."""

    @property
    def name(self) -> str:
        """What the objects are called; empty: like the project."""
        ...

    @property
    def namespace(self) -> str:
        """The namespace; empty: that of the user's kubectl context."""
        ...

    @property
    def kube_context(self) -> str:
        """The kubectl context to deploy to; empty: the current one."""
        ...

    @property
    def rollout_timeout_s(self) -> int:
        """How long the pods may take to get ready, in seconds from 1."""
        ...

    @property
    def force_conflicts(self) -> bool:
        """Whether fields, and objects, of other tools are taken over."""
        ...

    @property
    def confirm(self) -> bool:
        """Whether a person is asked before anything changes."""
        ...


@dataclass
class Session:
    """One deploy: what was asked for, where it goes, and what is found out on the way.

    Attributes:
        context: what was asked for.
        workload: what the service runs as.
        params: those of the target's parameters that count here.
        kubectl: for the objects' namespace.
        cluster: where it goes.
        rendered: what is deployed, by key.
        documents: its objects, as kustomize leaves them.
        live: those that are in the cluster.
        earlier: the live objects of the service, rendered or not.
        is_agreed: whether the person has been asked already.
    """

    context: DeployContext
    workload: Workload
    params: DeployParams
    kubectl: Kubectl
    cluster: Cluster
    rendered: Rendered
    documents: list[Object]
    live: dict[Identity, Any] = field(default_factory=dict)
    earlier: list[Any] = field(default_factory=list)
    is_agreed: bool = False

    @property
    def force(self) -> bool:
        """Whether fields, and objects, of others are taken over."""
        return self.params.force_conflicts

    @property
    def name(self) -> str:
        """The name of the service, which all its objects are labelled with."""
        return service_name(self.workload.of(self.documents)) or self.context.name

    def of(self, thing: Object) -> Identity:
        """Return which object `thing` is."""
        return identity(thing, self.cluster.namespace)

    def live_of(self, thing: Object) -> Any:
        """Return the object as it is in the cluster, or None."""
        return self.live.get(self.of(thing))

    @property
    def running(self) -> Any:
        """The live object that the service runs as, which bears the record; None: there is none."""
        return next(iter(self.workload.of(self.live.values())), None)

    def read_live(self) -> dict[Identity, Any]:
        """Return those of the objects that are in the cluster, as they are now.

        Raises:
            ToolError: the cluster does not let them be read.
        """
        words = ["get", "-o", "json", "--ignore-not-found", "--show-managed-fields", "-f", "-"]
        found = self.kubectl.must("cannot read what is deployed", *words, stdin=as_stream(self.documents))
        return {self.of(thing): thing for thing in from_list(found)}

    def leave(self, thing: Object, why: str) -> None:
        """Go on without an object that the user has no right to, and say so."""
        self.documents = [one for one in self.documents if one is not thing]
        self.context.say(f"warning: {label(thing)} is left as it is: {why}")

    def ask(self) -> None:
        """Ask before production is changed, once, if the target says that this is production.

        Raises:
            ToolError: the answer is no, or there is nobody to answer.
        """
        task = self.context.task
        if self.params.confirm and not self.is_agreed and not self.context.agreed(f"change {self.cluster}?"):
            msg = f"{task}: not confirmed, so nothing was applied\n  without a terminal: doit {task} --yes"
            raise ToolError(msg)
        self.is_agreed = True
