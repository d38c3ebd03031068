"""What goes into an image is said without saying how; a server that an image brings says its part by the same names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contexts.documented import documented, own_fields
from tests.facts import model_facts

from modelyard.artifacts import Model, ServerFacts
from modelyard.contexts import ImageContent, ImageContext, Locked, ServedModel, ServerContext, ServerImage

SERVER: dict[str, Any] = {
    "entrypoint": ("/usr/bin/server", "--port=8501"),
    "model": {"/models/net": Path("net")},
    "port": 8501,
    "facts": ServerFacts(live="/live", protocols=("v1",)),
}


@pytest.mark.parametrize("struct", [Locked, ImageContent])
def test_each_field_is_documented(struct: type[msgspec.Struct]) -> None:
    assert sorted(documented(struct)) == sorted(own_fields(struct))


def test_a_server_that_an_image_brings_is_a_part_of_the_content_by_the_same_names() -> None:
    told = ServerImage(**SERVER)
    parts = {name: getattr(told, name) for name in ServerImage.__struct_fields__}
    content = ImageContent(repository="team/net", tag="1", requirements=(), labels={}, **parts)
    assert {name: getattr(content, name) for name in SERVER} == SERVER
    assert (content.base, content.server, content.environment) == ("", {}, {})
    assert (content.optional_requirements, content.several) == ((), False)


def test_two_servers_share_no_files_and_no_variables() -> None:
    one, other = ServerImage(**SERVER), ServerImage(**SERVER)
    assert one == other
    assert one.server is not other.server
    assert one.environment is not other.environment


def test_a_server_is_asked_as_our_own_is_where_nothing_else_is_said() -> None:
    least = {"repository": "net", "tag": "1", "requirements": (), "server": {}, "labels": {}, "environment": {}}
    content = ImageContent(**least, model={}, entrypoint=("python3",), port=8080)  # type: ignore[arg-type]
    assert content.facts == ServerFacts()
    assert msgspec.json.decode(msgspec.json.encode(content.facts), type=ServerFacts) == content.facts


def test_who_plans_a_build_makes_no_image_and_imports_nothing_of_one() -> None:
    code = "import sys, modelyard.contexts; print({'numpy', 'modelyard.artifacts'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_a_runtime_and_a_builder_are_given_what_every_stage_is_and_their_own(tmp_path: Path) -> None:
    facts = model_facts(format="onnx", input_shape=(2,), class_names=("a", "b"))
    model = Model(tmp_path, facts)
    common: dict[str, Any] = {"out": tmp_path, "project": tmp_path, "cache": tmp_path, "seed": 0}
    lines: list[str] = []
    common |= {"progress": lambda *_, **__: None, "log": lines.append}
    server = ServerContext(**common, name="net", model=model)
    assert server.models == (), "it is the only one"
    several = (ServedModel(name="net", version=1, model=model), ServedModel(name="net", version=2, model=model))
    server = ServerContext(**common, name="net", model=several[0].model, models=several)
    image = ImageContext(**common, content=ImageContent(**SERVER, repository="net", tag="1", requirements=(), server={}, labels={}, environment={}))  # fmt: skip
    for context in (server, image):
        context.warn("odd")
    assert lines == ["warning: odd"] * 2
    assert (server.warnings, image.warnings) == (["odd"], ["odd"])
    assert [one.version for one in server.models] == [1, 2]


def test_what_was_locked_can_be_written_as_json(tmp_path: Path) -> None:
    locked = Locked(tmp_path / "image.lock.json", ({"name": "numpy", "version": "2"},))
    assert msgspec.json.decode(msgspec.json.encode(locked.packages)) == [{"name": "numpy", "version": "2"}]
