from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tests.facts import model_facts

from modelyard.artifacts import Model, self_contained
from modelyard.component import check_values, parameters_of
from modelyard.contexts import ServedModel, ServerContext
from modelyard.errors import ConfigError, PluginError
from modelyard.files.json import write_json
from modelyard_plugins.runtimes import tensorflow_serving as plugin


def params(**changes: Any) -> dict[str, Any]:
    return check_values(parameters_of(plugin.tensorflow_serving, "here"), changes, "here")


def served(**changes: Any) -> Any:
    return plugin.ServingParams(**params(**changes))


def messages() -> list[Any]:
    """The messages of monitoring_config.proto and session_bundle_config.proto that are written here.

    tensorflow-serving-api leaves these two out; names and numbers of the fields are those of tensorflow/serving 2.20.
    """
    file = descriptor_pb2.FileDescriptorProto(name="of_tensorflow_serving.proto", package="t", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=8, label=1)
    prometheus.field.add(name="path", number=2, type=9, label=1)
    monitoring = file.message_type.add(name="MonitoringConfig")
    monitoring.field.add(name="prometheus_config", number=1, type=11, label=1, type_name=".t.PrometheusConfig")
    batching = file.message_type.add(name="BatchingParameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for number, name in enumerate(names, 1):
        batching.field.add(name=name, number=number, type=11, label=1, type_name=".google.protobuf.Int64Value")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = (pool.FindMessageTypeByName(f"t.{name}") for name in ("MonitoringConfig", "BatchingParameters"))
    return [message_factory.GetMessageClass(one) for one in found]


def test_the_models_file_is_what_the_server_reads() -> None:
    pytest.importorskip("tensorflow_serving.config.model_server_config_pb2", reason="needs tensorflow-serving-api")
    from tensorflow_serving.config import model_server_config_pb2 as proto

    text = plugin.configuration([("digits", 7)], served(model_version=7))["models.config"]
    read = text_format.Parse(text, proto.ModelServerConfig())
    (config,) = read.model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == ("digits", "/models/digits", "tensorflow")
    assert list(config.model_version_policy.specific.versions) == [7]


def test_the_other_files_are_there_when_they_are_asked_for() -> None:
    monitoring, batching = messages()
    made = plugin.configuration([("digits", 7)], served(batching=True, max_batch_size=16, batch_timeout_ms=2.5))
    read = text_format.Parse(made["monitoring.config"], monitoring())
    assert (read.prometheus_config.enable, read.prometheus_config.path) == (True, "/monitoring/prometheus/metrics")
    read = text_format.Parse(made["batching.config"], batching())
    assert (read.max_batch_size.value, read.batch_timeout_micros.value) == (16, 2500)
    assert list(plugin.configuration([("digits", 7)], served(metrics=False))) == ["models.config"]


@pytest.mark.parametrize(("changes", "given"), [({}, False), ({"batching": True, "metrics": False}, True)])
def test_flags_and_files_fit_together(changes: dict[str, Any], given: bool) -> None:
    flags = dict(flag.removeprefix("--").split("=") for flag in plugin.flags(served(**changes)))
    made = plugin.configuration([("digits", 7)], served(**changes))
    named = {Path(value).name for name, value in flags.items() if name.endswith("_file")}
    assert named == set(made)
    assert (flags.get("enable_batching") == "true") is given


def exported(folder: Path, value_of_class_1: float = 2.0) -> Any:
    """A SavedModel that weighs one pixel; written without Keras, in a moment."""
    import tensorflow as tf

    from modelyard.tensors import Preprocessing
    from modelyard_plugins.support.keras.saved_model import write_saved_model

    facts = model_facts(format="saved_model", file="saved_model", input_shape=(2, 2), input_dtype="uint8",
                       preprocessing=Preprocessing(scale=1 / 255), class_names=("a", "b"))  # fmt: skip
    weight = tf.Variable([[0.0, value_of_class_1]])
    write_saved_model(folder / "saved_model", facts, lambda x: x[:, 0, :1] @ weight, [weight])
    write_json(folder / "model.json", self_contained(facts))
    return Model.open(folder)


def test_evaluation_runs_the_saved_model(tmp_path: Path) -> None:
    model = exported(tmp_path)
    predictor = plugin._SavedModel(model)
    raw = np.array([[[255, 9], [9, 9]], [[0, 9], [9, 9]]], np.uint8)
    odds = 1 / (1 + np.exp([-2.0, 0.0]))
    found = predictor.predict(raw)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack([1 - odds, odds], axis=1), atol=1e-6)


def test_what_goes_into_the_image(tmp_path: Path) -> None:
    model = exported(tmp_path / "model")
    (tmp_path / "out").mkdir()
    context = ServerContext(
        out=tmp_path / "out", project=tmp_path, cache=tmp_path, seed=0, progress=lambda *_, **__: None, log=print,
        name="digits", model=model, models=(ServedModel(name="digits", version=None, model=model),),
    )  # fmt: skip
    made = plugin.image(context, params=served(model_version=3, rest_port=9001, grpc_port=9000))
    assert made.entrypoint[0] == "/usr/bin/tensorflow_model_server"
    assert made.model["/models/digits/3"] == model.path
    assert json.loads(made.model["/models/digits/3/assets.extra/model.json"].read_bytes())["outputs"][0]["labels"] == [
        "a",
        "b",
    ]
    assert set(made.server) == {"/etc/tensorflow-serving/models.config", "/etc/tensorflow-serving/monitoring.config"}
    assert all(path.is_file() for path in made.server.values())
    assert (made.port, made.facts.grpc_port) == (9001, 9000)
    assert made.facts.timeout_s > 30
    assert made.facts.ready == "/v1/models/digits/versions/3/metadata"


def test_several_models_have_their_names_and_versions(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow_serving.config.model_server_config_pb2", reason="needs tensorflow-serving-api")
    from tensorflow_serving.config import model_server_config_pb2 as proto

    (tmp_path / "out").mkdir()
    models: list[Any] = [SimpleNamespace(path=tmp_path / str(number), folder=tmp_path) for number in range(3)]
    places = (("net", 2), ("net", 1), ("other", 1))
    served_ = [
        ServedModel(name=name, version=version, model=one) for (name, version), one in zip(places, models, strict=True)
    ]
    context = ServerContext(
        out=tmp_path / "out", project=tmp_path, cache=tmp_path, seed=0, progress=lambda *_, **__: None, log=print,
        name="shop", model=models[0], models=tuple(served_),
    )  # fmt: skip
    made = plugin.image(context, params=served(model_version=3))
    assert [place for place in made.model if "assets" not in place] == [
        "/models/net/2",
        "/models/net/1",
        "/models/other/1",
    ]
    text = made.server["/etc/tensorflow-serving/models.config"].read_text()
    configs = text_format.Parse(text, proto.ModelServerConfig()).model_config_list.config
    assert [(one.name, list(one.model_version_policy.specific.versions)) for one in configs] == [
        ("net", [1, 2]),
        ("other", [1]),
    ]
    assert made.facts.ready == "/v1/models/net/versions/2/metadata"


def test_ports_that_the_server_could_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="key 'grpc_port': 443 is not allowed"):
        params(grpc_port=443)


def test_what_concerns_the_server_alone_is_all_but_the_threads() -> None:
    assert set(params()) - set(plugin.SERVING_ONLY) == {"threads"}
    assert set(plugin.SERVING_ONLY) <= set(params())


def test_batching_makes_another_image_and_measures_nothing_anew(tmp_path: Path) -> None:
    from modelyard.project.load import load

    def stages(runtime: Any) -> Any:
        tables = (
            ("dataset", "digits"),
            ("model", "digits-cnn"),
            ("train", "tensorflow"),
            ("runtime", "tensorflow-serving"),
            ("image", "docker"),
        )
        lines = [f'[tool.modelyard.{table}]\nuse = "{name}"\n' for table, name in tables]
        lines.insert(4, runtime)  # behind the table of the runtime
        lines += ['[tool.modelyard.variants]\nserved = ["saved-model"]\n']
        (tmp_path / "pyproject.toml").write_text('[tool.modelyard]\nname = "small"\n' + "\n".join(lines))
        return load(tmp_path).plan.stages

    before, after = stages(""), stages("batching = true\nmax_batch_size = 8\nrest_port = 9000")
    assert {stage for stage in before if before[stage] != after[stage]} == {"image:small", "check:small"}
    assert stages("threads = 2")["evaluate:served"] != before["evaluate:served"]


def test_a_runtime_has_a_server_of_one_kind(tmp_path: Path) -> None:
    from modelyard.plugins.load import load_plugins

    text = (
        "from pathlib import Path\nfrom modelyard import hookimpl\n"
        "def run(model):\n    'Run.'\n"
        "@hookimpl\ndef modelyard_register_runtimes(register):\n"
        "    register('both', run, accepts=('x',), image=run, server=Path(__file__).parent)\n"
    )
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "both.py").write_text(text)
    with pytest.raises(PluginError, match="traits 'image' and 'server' exclude each other"):
        load_plugins(tmp_path)
