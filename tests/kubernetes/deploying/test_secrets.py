from __future__ import annotations

from typing import Any

from modelyard.kubernetes.deploying.secrets import needed_secrets


def test_the_secrets_that_are_needed_are_read_from_the_objects(good: list[dict[str, Any]]) -> None:
    spec = next(one for one in good if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    spec["imagePullSecrets"] = [{"name": "pull"}]
    found = {one.name: (one.kind, one.keys) for one in needed_secrets(good)}
    assert found == {
        "digits-auth": ("generic", ("username", "password")),
        "digits-tls": ("tls", ("tls.crt", "tls.key")),
        "pull": ("docker-registry", (".dockerconfigjson",)),
        "digits-ingress-tls": ("tls", ("tls.crt", "tls.key")),
    }
