"""The examples for compose and Kubernetes are well-formed and name settings that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from assistant.settings import Settings
from ui.settings import ServiceSettings

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "docs" / "deploy"


def documents() -> dict[str, list[Any]]:
    found = {p.name: [*yaml.safe_load_all(p.read_text())] for p in EXAMPLES.rglob("*.yaml")}
    assert set(found) == {"compose.yaml", "kubernetes.yaml"}
    return found


def test_they_are_whole() -> None:
    found = documents()
    (compose,) = found["compose.yaml"]
    assert set(compose["services"]) == {"model", "chat", "feedback"}
    for kind in found["kubernetes.yaml"]:
        assert {"apiVersion", "kind", "metadata"} <= set(kind)
        if kind["kind"] == "Deployment":
            spec = kind["spec"]
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"] == labels
            pod = spec["template"]["spec"]
            volumes = {volume["name"] for volume in pod["volumes"]}
            for container in pod["containers"]:
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_images_have_the_extras_that_their_settings_need() -> None:
    known = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = {"MEDCARDS_GENERATOR": "remote", "MEDCARDS_FEEDBACK": "postgres"}
    needed["MEDCARDS_VECTORS"] = "scale"
    (compose,) = documents()["compose.yaml"]
    chat = compose["services"]["chat"]
    assert (EXAMPLES / chat["build"]["context"] / "Dockerfile").is_file()
    assert "ARG EXTRAS" in (REPOSITORY / "Dockerfile").read_text()
    text = (EXAMPLES / "kubernetes.yaml").read_text()
    (given,) = re.findall(r"--build-arg EXTRAS=(\S+)", text)
    for extras, names in (
        (chat["build"]["args"]["EXTRAS"], set(chat["environment"])),
        (given, set(re.findall(r"MEDCARDS_[A-Z_]+", text))),
    ):
        found = set(extras.split(","))
        assert found <= set(known["optional-dependencies"])
        assert found == {extra for name, extra in needed.items() if name in names}


def test_every_setting_is_one() -> None:
    known = {f"MEDCARDS_{name.upper()}" for name in Settings.model_fields}
    known |= {str(field.validation_alias) for field in ServiceSettings.model_fields.values()}
    named = {
        name
        for path in EXAMPLES.rglob("*.yaml")
        for name in re.findall(r"MEDCARDS_[A-Z_]+", path.read_text())
    }
    assert len(named) >= 6
    assert named <= known
