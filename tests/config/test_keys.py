from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.plans import SOURCE, nothing, plugins_of

from modelyard.component import Component
from modelyard.config.keys import default_components, keys_of
from modelyard.config.tables import KEYS
from modelyard.errors import PluginError
from modelyard.plugins.load import Plugins


def with_kind(name: str, empty: Path) -> Plugins:
    known = plugins_of(empty)
    extra = Component("kind", name, nothing, SOURCE)
    return msgspec.structs.replace(known, components={**known.components, ("kind", name): extra})


def test_a_kind_of_stage_that_a_plugin_registered_has_a_table_of_its_name(tmp_path: Path) -> None:
    assert keys_of(plugins_of(tmp_path)) == KEYS
    assert keys_of(with_kind("notify", tmp_path)) == (*KEYS, "notify")


@pytest.mark.parametrize("name", ["train", "seed", "pipelines", "profiles"])
def test_a_kind_that_is_called_like_what_is_there_is_the_plugins_mistake(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        keys_of(with_kind(name, tmp_path))
    assert str(caught.value).startswith(f"plugin test.py: register({name!r}): a kind of stage has a table of its name")
    assert "\n  taken: check, " in str(caught.value)
    assert "profiles" in str(caught.value).rpartition("taken: ")[2]


def test_the_default_of_a_table_is_that_of_the_kind_that_it_chooses(tmp_path: Path) -> None:
    known = msgspec.structs.replace(plugins_of(tmp_path), defaults={"trainer": "fit", "builder": "box", "metric": "x"})
    assert default_components(known) == {"train": "fit", "image": "box"}
