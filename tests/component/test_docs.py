from __future__ import annotations

from modelyard.component import argument_docs, type_name
from tests.component.sample import component, prune


def test_types_are_named_as_a_person_writes_them() -> None:
    names = {name: parameter.type_name for name, parameter in component(prune).parameters.items()}
    assert names == {
        "sparsity": "a fraction from 0 to 1",
        "epochs": "a whole number from 1",
        "schedule": "one of 'constant', 'polynomial'",
        "mask": "a file or folder, relative to the project (or left out)",
    }
    assert type_name(int | str) == "int or str"
    assert type_name(list[int]) == "a list of int"
    assert type_name(dict[str, list[int]]) == "a table of which each value is a list of int"


def test_argument_docs_end_with_their_section() -> None:
    doc = "First.\n\nArgs:\n    a: one: two\n        three\n    b (int): four\n\nReturns:\n    c: not an argument"
    assert argument_docs(doc) == {"a": "one: two three", "b": "four"}
    assert argument_docs("Nothing here: at all.") == {}
