"""What the runtimes have in common whose models modelyard's own server serves: its parameters, and what its image holds.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypedDict

import msgspec

import modelyard
from modelyard.errors import StageFailed
from modelyard.params import PositiveInt
from modelyard_plugins.support.ports import HighPort

_RUNTIMES = Path(__file__).parents[1] / "runtimes"


@contextlib.contextmanager
def in_words(runtime: str) -> Iterator[None]:
    """Let what the server says of a model that `runtime` cannot open be what the build says, with what to do.

    Raises:
        StageFailed: it cannot open the model.
    """
    from modelyard.serving.errors import StartError

    try:
        yield
    except StartError as exc:
        msg = f"{exc}\n  export the model with what {runtime} has; operators of your own need a backend of your own (docs/reference/serving.md, other runtimes)"
        raise StageFailed(msg) from exc


class OwnServer(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a runtime on the CPU.

    Attributes:
        threads: threads that one prediction uses
        batching: whether requests that wait are predicted together; `auto`: where that is measured to pay when a server starts
        grpc_port: the port for gRPC; without it, gRPC is not spoken, and what it needs is not in the image
        events_oidc: have what checks the tokens of OpenID Connect in the image, for MODELYARD_EVENTS_AUTH=oidc
    """

    threads: PositiveInt = 1
    batching: Literal["auto", "on", "off"] = "auto"
    grpc_port: HighPort | None = None
    events_oidc: bool = False


class _Shared(TypedDict):
    """Some of `modelyard.hookspecs.RuntimeTraits`; the others are the runtime's own."""

    server: Path
    optional_requirements: dict[str, Path]
    serving_only: tuple[str, ...]
    serves_several: bool
    entrypoint: tuple[str, ...]
    deterministic: bool


OWN_SERVER: _Shared = {
    "server": Path(modelyard.__file__).parent / "serving",
    "optional_requirements": {
        "grpc_port": _RUNTIMES / "grpc-requirements.txt",
        "events_oidc": _RUNTIMES / "oidc-requirements.txt",
    },
    "serving_only": ("batching", "grpc_port", "events_oidc"),
    "serves_several": True,
    "entrypoint": ("python3", "-m", "modelyard_serving"),
    "deterministic": True,  # it computes on the CPU
}
"""The traits of such a runtime; what it needs itself, and what its backend is called, it adds."""
