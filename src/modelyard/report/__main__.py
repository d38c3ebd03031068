"""`python -m modelyard.report REQUEST RESULT`: render what the `doit` process collected."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.execution.child import how_to_install
from modelyard.execution.protocol import Failure, Result
from modelyard.files.json import decode, read_bytes, write_json
from modelyard.report.collect import Collected


def main(request: str, result: str) -> int:
    """Render, and answer in the file `result`; 0 if all went well."""
    collected = decode(read_bytes(request), Collected)
    answer = Result()
    try:
        _render(collected)
    except Exception as exc:
        answer = Result(failure=Failure(_explain(exc, collected.out), traceback.format_exc()))
    write_json(Path(result), answer)
    return 0 if answer.failure is None else 1


def _render(collected: Collected) -> None:
    from modelyard.report.measure import measure
    from modelyard.report.write import write

    report, material = measure(collected)
    write(report, material, Path(collected.folder), Path(collected.out))


def _explain(exc: Exception, out: str) -> str:
    """Return a mistake in words; a full disk names no file, and what is written is in the folder `out`."""
    if isinstance(exc, ModelyardError):
        return f"report: {exc}"
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return f"report: needs the module {exc.name!r}, which is not installed\n  {how_to_install(exc.name, 'report')}"
    if isinstance(exc, OSError):
        return f"report: {exc.filename or out}: {exc.strerror or exc}\n  mend this, or wait for a build that is running, then run `doit report` again"
    return f"report: {type(exc).__name__}: {exc}\n  MODELYARD_DEBUG=1 shows the traceback"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
