from __future__ import annotations

import pytest
from tests.configs import Load


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "[tool.modelyard.variants]: there is no variant\n  write at least one"),
        ('a = "pack"', "[tool.modelyard.variants]: a: 'pack' is not a list\n  write a chain"),
        ("a = [3]", "[tool.modelyard.variants.a]: 3 is not a step\n  write a model optimizer's name"),
        ("a = [{ sparsity = 0.5 }]", "[tool.modelyard.variants.a]: {'sparsity': 0.5} is not a step"),
        ("a = [{ use = 3 }]", "[tool.modelyard.variants.a]: key 'use': 3 is not the name of a optimizer"),
        ('a = ["pak"]', "[tool.modelyard.variants.a]: unknown model optimizer 'pak', did you mean 'pack'?"),
        ('a = ["prune"]', "[tool.modelyard.variants.a]: key 'sparsity' is missing\n  it is a fraction from 0 to 1"),
        ('a = [{ use = "prune", sparsity = 2 }]', "[tool.modelyard.variants.a]: key 'sparsity': 2 is not allowed"),
        ('"A b" = ["pack"]', "'A b' is not allowed as the name of a variant\n  allowed: 1 to 100"),
        (f'{"a" * 101} = ["pack"]', "is not allowed as the name of a variant"),
    ],
)
def test_a_mistake_in_a_chain_is_named_with_its_variant(text: str, match: str, load: Load) -> None:
    assert match in load.refused({"tool.modelyard.variants": text})
