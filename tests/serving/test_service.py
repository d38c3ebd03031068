"""What connections ask is what is behind them: both protocols' services do all of it, and take what it says."""

from __future__ import annotations

import ast
import inspect

import pytest

from modelyard.serving import connection as http
from modelyard.serving.app import App
from modelyard.serving.service import Peer, Service

pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import calls, connection
from modelyard.serving.grpc import http2 as below

ASKED = sorted(name for name, one in vars(Service).items() if inspect.isfunction(one) and not name.startswith("_"))


@pytest.mark.parametrize("one", [App, calls.Calls])
@pytest.mark.parametrize("name", ASKED)
def test_each_service_answers_what_is_asked_in_the_same_words(one: type, name: str) -> None:
    wanted = inspect.signature(getattr(Service, name))

    assert inspect.signature(getattr(one, name)) == wanted


def asked_in(module: object) -> set[str]:
    """Return what a module calls of `self._service`."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {node.attr for node in found if ast.unparse(node.value) == "self._service"}


def test_nothing_is_in_the_contract_that_nobody_asks() -> None:
    for modules, own in (((http,), "max_body_bytes"), ((connection, below), "max_message_bytes")):
        asked = set.union(*map(asked_in, modules))
        assert asked - {"answer", own} == set(ASKED)


def test_a_connection_says_who_its_client_is() -> None:
    assert set(Peer.__annotations__) == {"peer", "trusted"}
