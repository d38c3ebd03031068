from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import yaml
from tests.targets import kubernetes

from modelyard.kubernetes.checking import check
from modelyard.kubernetes.manifests import amend, objects_in, read_folder, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.contexts import TargetContext


def test_only_files_with_objects_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: B\n---\napiVersion: v1\nkind: C\n")
    (tmp_path / "a.yml").write_text("apiVersion: v1\nkind: A\n")
    (tmp_path / "kustomization.yaml").write_text("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n")
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    found = read_folder(tmp_path)
    assert list(found) == ["a.yml", "b.yaml"]
    assert [one["kind"] for one in objects_in(found)] == ["A", "B", "C"]


def test_objects_that_are_written_back_are_the_same_and_the_bytes_are_stable(
    context: TargetContext,
) -> None:
    kubernetes(
        context,
        namespace="digits",
        create_namespace=True,
        ingress_host="a.example",
        annotations={"a": "on", "b": "x: '{{y}}'"},
    )
    first = read_folder(context.out)
    write_folder(context.out, first)
    written = {name: (context.out / name).read_bytes() for name in first}
    assert read_folder(context.out) == first
    write_folder(context.out, read_folder(context.out))
    assert {name: (context.out / name).read_bytes() for name in first} == written


def test_what_a_hook_changes_is_written_and_nothing_else(manifests: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(manifests, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert not amend(folder, lambda objects: None)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    config = "20-configmap.yaml"

    def change(objects: list[Any]) -> None:
        next(one for one in objects if one["kind"] == "ConfigMap")["data"]["MORE"] = "on"

    assert amend(folder, change)
    assert read_folder(folder)[config][0]["data"]["MORE"] == "on"
    assert check(objects_in(read_folder(folder))) == []


def test_what_a_hook_adds_and_removes_is_followed_by_the_kustomization(manifests: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(manifests, folder)

    def change(objects: list[Any]) -> None:
        objects[:] = [one for one in objects if one["kind"] != "Ingress"]
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"a": "1.0"}})

    assert amend(folder, change)
    names = list(read_folder(folder))
    assert names[-1] == "90-amended.yaml"
    assert "80-ingress.yaml" not in names
    assert yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"] == names
    assert read_folder(folder)["90-amended.yaml"][0]["data"] == {"a": "1.0"}
