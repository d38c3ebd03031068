"""Which formats name classes of the project in their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.plugins.load import load_plugins

if TYPE_CHECKING:
    from pathlib import Path

PICKLED = """from modelyard import hookimpl


@hookimpl
def modelyard_formats_with_classes():
    return ["pickled"]
"""


def test_those_of_a_plugin_join_keras_own(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/pickled.py").write_text(PICKLED)
    found = load_plugins(tmp_path).hooks.formats_with_classes()
    assert found == {"tf_keras", "tf_keras_qat", "keras", "keras_quantized", "pickled"}


def test_each_is_written_by_a_component_that_modelyard_brings(tmp_path: Path) -> None:
    plugins = load_plugins(tmp_path)
    makers = [*plugins.of_kind("trainer").values(), *plugins.of_kind("optimizer").values()]
    assert plugins.hooks.formats_with_classes() <= {one.produces for one in makers}
