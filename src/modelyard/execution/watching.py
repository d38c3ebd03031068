"""What a stage reads of the project, heard from inside its process and compared with what its key was made of.

Python tells an audit hook of each file that it opens and each program that it starts; the project's modules are heard of
where they are loaded (`code.imports`), and variables where they are asked for (`variables`). Processes that are forked
from the stage's are heard as well: each thing is noted once, as a line of a file that all of them have open.

What native code opens by itself is not heard, nor what the programs read that a stage starts.

Source: PEP 578, Python Runtime Audit Hooks.
"""

from __future__ import annotations

import _posixsubprocess
import contextlib
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

import msgspec

from modelyard.code import imports as source_imports
from modelyard.code.lookups import Mark
from modelyard.code.territory import Place, Territory
from modelyard.errors import StageFailed
from modelyard.execution.folders import absolute, watch_folders
from modelyard.execution.protocol import Seen
from modelyard.execution.variables import digest_of, watch_variables
from modelyard.files.digests import signature
from modelyard.files.json import read_bytes

_PROGRAMS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"})
"""The events of a program that is started; the first argument names it."""

_MAKES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_READS_NOTHING = getattr(os, "O_PATH", 0) | os.O_DIRECTORY

_HOW = "docs/explanation/incremental.md says what counts"


class Rules(msgspec.Struct, frozen=True):
    """What counts for a stage.

    Attributes:
        sources: the files of its code, each with the signature that the key was made of.
        files: the other files that count, and the folders all of which do.
        variables: the environment variables that count, or that modelyard sets.
        undeclared: what becomes of anything else: `error`, `record` or `allow`.
        harmless_files: patterns of files that shape nothing.
        harmless_variables: names of variables that shape nothing.
    """

    sources: Mapping[str, Mark]
    files: tuple[str, ...]
    variables: frozenset[str]
    undeclared: str
    harmless_files: Collection[str]
    harmless_variables: Collection[str]

    def has_file(self, path: str) -> bool:
        """Tell whether the file at `path` counts; it may be the way that leads to it without a link."""
        return _is_in(path, self.files) or _is_in(path, map(os.path.realpath, self.files))


class _Note(msgspec.Struct, array_like=True):
    """A line of the notes: a field of `Seen`, the name of what was seen, its mark or digest, and why it is an error."""

    kind: str
    name: str
    mark: Any = None
    error: str = ""


_NOTES = msgspec.json.Decoder(_Note)


class Watch:
    """Hears what this process, and those that are forked from it, read of the project; begins with its loading."""

    def __init__(self, project: str) -> None:
        self.territory = Territory(project)
        self._rules: Rules | None = None
        self._early: list[tuple[str, str, Place]] | None = []
        self._stage = ""
        self._known: set[str] = set()
        self._noted: set[tuple[str, str]] = set()
        self._found: set[str] = set()
        self._notes, self._path = -1, ""
        self._heard_early: list[tuple[str, str, Place]] = []
        self._before: set[str] = set()  # the files of modules, modelyard's own, that were loaded before any was heard
        source_imports.on_load[:] = [self._loaded]
        watch_variables(self._asked)
        watch_folders()
        sys.addaudithook(self._hear)

    def rest(self) -> None:
        """Hear nothing until a stage begins; what was heard until now counts for the stages whose code asked for it."""
        self._heard_early, self._early = self._early or [], None
        self._known.clear()  # here, and not in each process that is forked: to drop a name is to write to its page
        files = {str(getattr(module, "__file__", "")) for module in list(sys.modules.values())}
        self._before = files - source_imports.loaded.keys()

    def begin(self, stage: str, rules: Rules, notes: str) -> None:
        """Compare what is read from now on with what counts for the stage.

        Args:
            stage: its id.
            rules: what counts for it.
            notes: the path of a new file, for what is seen.

        Raises:
            StageFailed: its code is not what it was when its key was made, or read something that does not count.
        """
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._stage, self._rules, self._path = stage, rules, notes
        _hear_spawns(self._started)
        self._check_loaded(rules)
        for kind, name, place in self._heard_early:
            if place[0] in rules.sources:
                {"file": self._judge, "module": self._judge_module, "variable": self._judge_variable}[kind](name, place)
        for path in sorted(self._before & rules.sources.keys()):
            self._note("opened", path)

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        """Let the block read what it likes: it shapes nothing. What it imports stays, and must be what the key was made of."""
        rules, self._rules = self._rules, None
        try:
            yield
        finally:
            self._rules = rules
        if rules is not None:
            self._check_loaded(rules)

    def _check_loaded(self, rules: Rules) -> None:
        for path, mark in rules.sources.items():
            if source_imports.loaded.get(path, mark) != mark:
                self._refuse_moved(path)

    def end(self) -> Seen:
        """Return what was seen, and hear no more.

        Raises:
            StageFailed: something was read that does not count, and the code that read it hid the error.
        """
        self._rules = None
        seen = Seen()
        for note in self._read_notes():
            if note.error:
                raise StageFailed(note.error)
            getattr(seen, note.kind)[note.name] = note.mark
        return seen

    def cause(self, error: Exception | SystemExit) -> Exception | SystemExit:
        """Return the error that the stage ended with, or the one of this watch that it came from, by whatever road."""
        self._rules = None
        return next((StageFailed(note.error) for note in self._read_notes() if note.error), error)

    def _read_notes(self) -> list[_Note]:
        if self._notes < 0:
            return []
        return _NOTES.decode_lines(read_bytes(self._path))

    # What is heard

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if self._rules is not None or self._early is not None:
                self._opened(args[0], args[2])
        elif event in _PROGRAMS:
            if self._rules is not None:
                self._started(args[0] or args[1][0])
        elif event == "import" and args[1] and (self._rules is not None or self._early is not None):
            self._opened(args[1], os.O_RDONLY)  # compiled code

    def _opened(self, name: object, flags: int) -> None:
        if isinstance(name, int) or flags & _READS_NOTHING:
            return
        path = absolute(os.fsdecode(name))  # type: ignore[arg-type]
        if not path.startswith(self.territory.root) or path in self._known or path in source_imports.reading:
            return
        self._known.add(path)
        if not flags & _MAKES and self.territory.holds(path):  # what it makes is its own from then on
            self._read(path)

    def _read(self, path: str) -> None:
        path = source_from_cache(path) if f"{os.sep}__pycache__{os.sep}" in path and path.endswith(".pyc") else path
        self._tell("file", path, self._judge, self.territory.reader(self._found))

    def _started(self, program: str | bytes) -> None:
        self._note("programs", Path(os.fsdecode(program)).name)

    def _loaded(self, path: str, mark: Mark) -> None:
        rules = self._rules
        if rules is not None and path in rules.sources:
            if rules.sources[path] != mark:
                self._refuse_moved(path)
            return
        self._tell("module", path, self._judge_module, self.territory.reader(self._found))

    def _asked(self, name: str, file: str) -> None:
        if file in self._found or self.territory.holds(file):
            self._tell("variable", name, self._judge_variable, self.territory.reader(self._found))

    def _tell(self, kind: str, name: str, judge: Callable[[str, Place | None], None], place: Place | None) -> None:
        if self._rules is not None:
            judge(name, place)
        elif self._early is not None and place is not None:
            self._early.append((kind, name, place))

    # What is thought of it

    def _judge(self, path: str, place: Place | None) -> None:
        rules, info = self._rules, _regular(path)
        if info is None:
            self._known.discard(path)
        elif rules is not None and path in rules.sources:
            self._note("opened", path)
        elif rules is not None and not rules.has_file(path):
            remedy = "give it by a parameter of the type InputPath"
            self._undeclared("files", path, signature(info), f"reads {self.territory.name(path)}", remedy, place)

    def _judge_module(self, path: str, place: Place | None) -> None:
        info = _regular(path)
        if place is None or info is None or (self._rules is not None and path in self._rules.sources):
            return  # a module that another's code imports is that one's matter
        if self.territory.is_modelyard(path):
            return
        self._found.add(path)
        remedy = "import it by a name that is written out, from the project's folder"
        self._undeclared("files", path, signature(info), f"imports {self.territory.name(path)}", remedy, place)

    def _judge_variable(self, name: str, place: Place | None) -> None:
        rules = self._rules
        if rules is None or name in rules.variables or name in rules.harmless_variables:
            return
        remedy = "make it a parameter, or declare it with reads_environment"
        self._undeclared("variables", name, digest_of(name), f"reads the environment variable {name}", remedy, place)

    def _undeclared(self, kind: str, name: str, mark: Any, what: str, remedy: str, place: Place | None) -> None:
        rules = self._rules
        assert rules is not None
        if rules.undeclared == "allow":
            return
        short = self.territory.name(name) if kind == "files" else name
        if kind == "files" and any(fnmatchcase(short, pattern) for pattern in rules.harmless_files):
            return
        if rules.undeclared == "record":
            self._note(kind, name, mark)
            return
        where = f"{self.territory.name(place[0])}:{place[1]}" if place else self._stage
        msg = f"{where}: {what}, which does not count: a change of it would go unseen\n  {remedy}; {_HOW}"
        self._note(kind, name, mark, msg)
        raise StageFailed(msg) from None  # what the opener was about is nobody's concern

    def _refuse_moved(self, path: str) -> None:
        msg = f"{self._stage}: changed while the stage ran: {self.territory.name(path)}\n  its result was not kept; run `doit` again"
        self._note("files", path, None, msg)
        raise StageFailed(msg)

    def _note(self, kind: str, name: str, mark: Any = None, error: str = "") -> None:
        if (kind, name) not in self._noted:
            self._noted.add((kind, name))
            os.write(self._notes, msgspec.json.encode(_Note(kind, name, mark, error)) + b"\n")


def _is_in(path: str, places: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in places)


def _regular(path: str) -> os.stat_result | None:
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return None
    return info if stat.S_ISREG(info.st_mode) else None


def _hear_spawns(on_spawn: Callable[[str | bytes], None]) -> None:
    """Call `on_spawn` with the program when `multiprocessing` starts Python anew, which no audit event tells."""
    plain = _posixsubprocess.fork_exec

    def fork_exec(arguments: Sequence[str | bytes], *rest: Any) -> int:
        on_spawn(arguments[0])
        return plain(arguments, *rest)

    _posixsubprocess.fork_exec = fork_exec  # type: ignore[assignment]
