"""`modelyard`: what cannot be doit's, since there is no dodo.py yet, or since it is asked before anything is tried."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ConfigError, ModelyardError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 1 if the doctor finds something missing, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="modelyard", description="Make for deep-learning deployment; builds are run with `doit`."
    )
    parser.add_argument("--version", action="version", version=f"modelyard {version('modelyard')}")
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("init", help="start a project that builds at once, or a package of plugins")
    new.add_argument("folder", nargs="?", help="where to; made if need be (default: here, for a package its name)")
    kind = new.add_mutually_exclusive_group()
    kind.add_argument("--name", help="the project's name (default: the folder's)")
    kind.add_argument("--plugin", metavar="NAME", help="write a package of plugins of this name, tests included")
    new.add_argument(
        "--kind",
        action="append",
        metavar="KIND",
        help="with --plugin: a kind of component to begin with, such as executor; may be given several times (default: optimizer, target)",
    )
    looks = commands.add_parser("doctor", help="tell what this machine lacks for the project; exit code 1 if anything")
    looks.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values to build with, as doit takes them")
    looks.add_argument("--json", action="store_true", help="print the answer as JSON, with stable keys")
    options = parser.parse_args(arguments)
    code = 0
    try:
        if options.command == "doctor":
            code = doctor(options.overrides, as_json=options.json)
        else:
            print(init(options.folder, options.name, options.plugin, options.kind))
        sys.stdout.flush()
    except BrokenPipeError:
        from modelyard.commands.wording import hear_no_more

        hear_no_more()
    except ModelyardError as exc:
        sys.stderr.write(f"modelyard: {exc}\n")
        return 2
    return code


def init(folder: str | None, name: str | None, plugin: str | None, kinds: Sequence[str] | None = None) -> str:
    """Write a new project, or a package of plugins, and return what to do next.

    Raises:
        ConfigError: the name is not allowed, or something is in the way.
    """
    if plugin is not None:
        from modelyard.frontend.plugin_package import USUAL, new_plugin

        return new_plugin(Path(folder or plugin), plugin, kinds or USUAL)
    if kinds:
        msg = f"init: --kind {kinds[0]} goes with --plugin\n  usage: modelyard init --plugin NAME --kind {kinds[0]}"
        raise ConfigError(msg)
    from modelyard.frontend.scaffold import new_project

    return new_project(Path(folder or "."), name)


def doctor(overrides: Sequence[str], *, as_json: bool = False) -> int:
    """Print what this machine has and lacks for the project in this folder or above, and return the exit code.

    Raises:
        ModelyardError: there is no project, or it has a mistake.
    """
    from modelyard.commands.base import print_json, project_folder
    from modelyard.preflight.doctor import as_text, examine
    from modelyard.project.load import load

    wrong = [word for word in overrides if "=" not in word]
    if wrong:
        msg = f"doctor: {wrong[0]!r} is no KEY=VALUE\n  usage: modelyard doctor [--json] [KEY=VALUE ...]"
        raise ConfigError(msg)
    found = examine(load(project_folder(), dict(word.split("=", 1) for word in overrides)))
    print_json(found) if as_json else print(as_text(found))
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())
