"""What the `doit` process and its workers say to each other."""

from __future__ import annotations

from typing import Any

import msgspec

from modelyard.code.lookups import Mark


class Request(msgspec.Struct, kw_only=True):
    """What the `doit` process tells a worker, as one JSON file.

    Attributes:
        id: a number that progress lines carry.
        project: the project's folder.
        overrides: the command line's overrides.
        is_whole: whether all files that the project's parameters name are there.
        stage: the stage's id.
        outline: what the stage is, as the `doit` process sees it (`stage.outline`); the worker must see the same.
        sources: the files of the code that the stage's key was made of, each with its signature at that time.
        files: the other files and folders that count: those that the key was made of, the artifacts that the stage reads,
            and what image builders share, which may lie in the project and is checked when it is taken.
        inputs: the folder or file of each input, by role.
        out: the empty folder to write to.
        cache: the folder for downloads.
        code: what the first component is, without its parameters: see `keys.ways`.
        ways: what each component is, by its role.
        result: the file to write the `Result` to.
        log: the file that stdout and stderr go to.
    """

    id: int
    project: str
    overrides: dict[str, str]
    stage: str
    is_whole: bool = True
    outline: str = ""
    sources: dict[str, Mark] = {}
    files: list[str] = []
    inputs: dict[str, str]
    out: str
    cache: str
    code: str = ""
    ways: dict[str, str] = {}
    result: str
    log: str


class Failure(msgspec.Struct):
    """Why a stage did not reach its end: a message for a person, and a traceback for its log."""

    message: str
    traceback: str = ""


class Seen(msgspec.Struct):
    """What a stage's process, and those forked from it, were seen to read beside the imports of the key's code.

    Attributes:
        opened: files of the code that were read other than by importing them.
        programs: programs that were started; what these read, nobody saw.
        files: files of the project that do not count, each with its signature when it was opened.
        variables: environment variables that do not count, each with the digest of its value; empty if it was not set.
    """

    opened: dict[str, None] = {}
    programs: dict[str, None] = {}
    files: dict[str, Mark] = {}
    variables: dict[str, str] = {}


class Result(msgspec.Struct):
    """What a worker answers, as one JSON file."""

    metrics: dict[str, Any] = {}
    failure: Failure | None = None
    seen: Seen = msgspec.field(default_factory=Seen)
