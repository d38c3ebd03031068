"""The small projects and arrays of plugin authors."""

from __future__ import annotations

from modelyard.testing import ProjectOf, project_of, run_doit, small_arrays

__all__ = ["project_of"]  # a fixture: pytest finds it by name


def test_a_project_from_a_dict_of_files(project_of: ProjectOf) -> None:
    project = project_of({"pyproject.toml": "[tool.modelyard]\n[tool.modelyard.dataset]\nuse = 'digit'\n"})
    done = run_doit(project, "list")
    assert done.returncode == 3
    assert "unknown dataset 'digit', did you mean 'digits'?" in done.stderr


def test_small_arrays_are_the_same_for_a_seed_and_cover_every_class() -> None:
    one, two, other = small_arrays(), small_arrays(), small_arrays(seed=1)
    assert one["train_x"].tobytes() == two["train_x"].tobytes() != other["train_x"].tobytes()
    assert one["train_x"].shape == (192, 8, 8, 1)
    assert set(one["test_y"].tolist()) == {0, 1, 2}
