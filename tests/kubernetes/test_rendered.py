"""Whatever is rendered as Kubernetes objects is checked, whoever rendered it; the rest is left alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from modelyard.errors import StageFailed
from modelyard.kubernetes.charts import has_helm
from modelyard.kubernetes.rendered import Checked, check_rendered

needs_helm = pytest.mark.skipif(not has_helm(), reason="the program helm is not installed")
REPOSITORY, DIGEST = "registry.example/team/digits", "sha256:" + "a" * 64
IMAGE = f"{REPOSITORY}:0.1.0@{DIGEST}"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
CHART = "apiVersion: v2\nname: digits\nversion: 0.1.0\n"


def looked_at(folder: Path, warnings: list[str] | None = None) -> Checked:
    told: list[str] = [] if warnings is None else warnings
    return check_rendered(folder, name="digits", image=IMAGE, log=lambda _: None, warn=told.append)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_y", ".y").replace("_j", ".j")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"pod_yaml": POD},
        {"pod_yml": POD},
        {"deep__er__pod_yaml": POD},
        {"pod_json": json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})},
        {"pods_yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"},
    ],
    ids=lambda files: next(iter(files)),
)
def test_an_object_is_found_wherever_it_is(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(
        StageFailed, match=r"the Kubernetes objects break \d+ rules:\n(?s:.*)Pod/a: .*\[own-service-account\]"
    ):
        looked_at(write(tmp_path, **files))


@pytest.mark.parametrize(
    "files",
    [
        {"compose_yaml": "services: {a: {image: nginx}}\n"},
        {"compose_yaml": "services: !override {a: !reset null}\n"},
        {"job__nomad.hcl": 'job "digits" { group "a" {} }\n'},
        {"playbook_yaml": "- hosts: {{ hosts }}\n"},
        {"skaffold_yaml": "apiVersion: skaffold/v4beta11\nkind: Config\n"},
        {"kubeconfig_yaml": "apiVersion: v1\nkind: Config\nclusters: []\n"},
        {"kubelet_yaml": "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"},
        {"latin_yaml": "a: b\n"},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_is_no_object_of_the_cluster_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, **files)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    assert looked_at(tmp_path) == Checked(0, 0)


@pytest.mark.parametrize(("text", "said"), [("a: [", "is not YAML"), ("a: 1\na: 2\n", "the key 'a' is there twice")])
def test_a_file_that_seems_to_hold_objects_must_be_readable(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(StageFailed, match=said):
        looked_at(write(tmp_path, a_yaml=f"apiVersion: v1\nkind: Pod\n{text}"))


def test_a_patch_that_a_kustomization_names_is_no_whole_object(tmp_path: Path) -> None:
    kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base]\n"
    write(tmp_path, base__ok_yaml="a: b\n", prod__kustomization_yaml=kustomization + "patches: [{path: patch.yaml}]\n")
    write(tmp_path, prod__patch_yaml=POD)
    assert looked_at(tmp_path) == Checked(0, 0)


# --- charts


def chart(folder: Path, manifests: Path, change: str = "", ci: str = "") -> Path:
    """Write an idiomatic chart of the built-in objects: the image in parts in its values, the rest as it was."""
    write(
        folder, Chart_yaml=CHART, values_yaml=f"image: {{repository: {REPOSITORY}, tag: 0.1.0, digest: '{DIGEST}'}}\n"
    )
    image = '"{{ .Values.image.repository }}:{{ .Values.image.tag }}@{{ .Values.image.digest }}"'
    for file in manifests.glob("*-*.yaml"):
        text = file.read_text().replace(f'"{IMAGE}"', image) + change
        write(folder, **{f"templates__{file.stem}_yaml": text})
    return write(folder, **({"ci__test-values_yaml": ci} if ci else {}))


def test_what_of_a_chart_can_be_read_without_helm_is_checked(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"Chart\.yaml: version is missing"):
        looked_at(write(tmp_path, Chart_yaml="apiVersion: v2\nname: a\n"))


def test_without_helm_it_is_said_that_the_objects_were_not_checked(
    tmp_path: Path, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []
    assert looked_at(chart(tmp_path / "helm", manifests).parent, told) == Checked(0, 0)
    assert told == ["helm is not installed here, so that the objects of the chart in helm/ were not checked"]


@needs_helm
def test_an_idiomatic_chart_is_rendered_and_its_objects_are_checked(tmp_path: Path, manifests: Path) -> None:
    told: list[str] = []
    found = looked_at(chart(tmp_path, manifests), told)
    assert found == Checked(len(list(manifests.glob("*-*.yaml"))), 0)
    assert told == []


@needs_helm
def test_an_object_of_a_chart_that_breaks_a_rule_is_an_error(tmp_path: Path, manifests: Path) -> None:
    write(chart(tmp_path, manifests), values_yaml=f"image: {{repository: {REPOSITORY}, tag: latest, digest: ''}}\n")
    with pytest.raises(
        StageFailed, match=r"the objects of the Helm chart in \./ break \d+ rules(?s:.*)\[image-digest\]"
    ):
        looked_at(tmp_path)


@needs_helm
def test_what_a_chart_requires_of_its_user_can_be_given_for_the_check(tmp_path: Path, manifests: Path) -> None:
    required = '\n# {{ required "who?" .Values.team }}\n'
    with pytest.raises(StageFailed, match=r"cannot be rendered: (?s:.*)who\?(?s:.*)\n  mend .* ci/NAME-values.yaml"):
        looked_at(chart(tmp_path / "a", manifests, required))
    assert looked_at(chart(tmp_path / "b", manifests, required, ci="team: us\n")).objects > 5


@needs_helm
def test_helm_leaves_nothing_of_its_own(tmp_path: Path, manifests: Path) -> None:
    folder = chart(tmp_path / "helm", manifests)
    before = sorted(folder.rglob("*"))
    looked_at(folder)
    assert sorted(folder.rglob("*")) == before
    assert shutil.which("helm")
