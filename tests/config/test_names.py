from __future__ import annotations

import pytest

from modelyard.config.names import check_name
from modelyard.errors import ConfigError
from modelyard.toml.places import ConfigSource

WHERE = ConfigSource().where("variants")


@pytest.mark.parametrize("name", ["a", "0", "int8", "a.b-c", "a" * 100])
def test_names_of_tasks_and_folders(name: str) -> None:
    check_name("variant", name, WHERE)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a.", "a/b", "a" * 101, "a\n"])
def test_what_would_be_no_folder_or_no_task_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not allowed as the name of a variant\n  allowed: 1 to 100 lower-case"):
        check_name("variant", name, WHERE)
