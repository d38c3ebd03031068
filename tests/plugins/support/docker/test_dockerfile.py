from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import ToolError
from modelyard_plugins.support.docker.dockerfile import dockerfile, quoted


def test_user_text_cannot_leave_its_quotes() -> None:
    assert quoted('a"b\\c$HOME') == '"a\\"b\\\\c\\$HOME"'
    with pytest.raises(ToolError, match="control character"):
        quoted("a\nRUN evil")


def test_template_names_user_and_entrypoint(tmp_path: Path) -> None:
    settings = {
        "User": "65532:65532",
        "Env": ["A=1 2"],
        "Entrypoint": ["/usr/bin/python3", "-m", "x"],
        "WorkingDir": "/",
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": {"a": "b c"},
        "StopSignal": "SIGTERM",
    }
    lines = dockerfile(tmp_path, base="x:1", settings=settings, layers=("wheels", "server", "model")).splitlines()
    assert lines == [
        "FROM x:1",
        "COPY wheels/ /",
        "COPY server/ /",
        "COPY model/ /",
        'ENV A="1 2"',
        'LABEL "a"="b c"',
        "WORKDIR /",
        "EXPOSE 8080/tcp",
        "STOPSIGNAL SIGTERM",
        "USER 65532:65532",
        'ENTRYPOINT ["/usr/bin/python3", "-m", "x"]',
        "CMD []",
    ]
