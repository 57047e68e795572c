"""`exo-tui plan` on files: what cannot be meant is one line on stderr and exit 2, no feasible plan exit 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.test_plan_explain import SPEC
from tui.cli import run

ROOT = Path(__file__).resolve().parents[2]
INSTANCES = ROOT / "tests" / "fixtures" / "plan-instances.json"
DEVICE = {"id": "a", "memory_limit": 90 * 2**30}
MAC = {"id": "a", "mem": 1e9, "bw": 1e11, "flops": 1e12}
LAYER = {"count": 4, "dense_bytes": 1e6, "flops": 1e6, "overhead": 0}


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def instance(**changes: Any) -> dict[str, object]:
    """The document of one device, with parts of its instance replaced."""
    source = json.loads(INSTANCES.read_text())
    (found,) = (each for each in source["instances"] if each["id"] == "p27")
    return {"schema": "exo-plan/1", "instances": [found | changes]}


def refused(capsys: pytest.CaptureFixture[str], code: int, *argv: object) -> str:
    """The complaint of a command line that must end with this code and say one line."""
    assert run([str(word) for word in argv]) == code
    said = capsys.readouterr().err
    assert said.startswith("exo-tui: ") and said.count("\n") == 1
    return said


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "model.json"
    file.write_bytes(msgspec.json.encode(SPEC))
    return file


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (instance() | {"schema": "exo-plan/2"}, "the schema 'exo-plan/2' is unknown"),
        (instance(devices=[]), "devices"),
        (instance(devices=[MAC | {"mem": -1}]), "mem"),
        (instance(devices=[MAC | {"bw": float("nan")}]), "malformed"),
        (instance(links=[{"a": "a", "b": "ghost", "lat": 0, "bw": 1}], devices=[MAC]), "ghost"),
        (instance(model={"hidden": 8, "n_heads": 1, "n_kv_heads": 1, "layers": []}), "layers"),
        (
            instance(
                model={
                    "hidden": 8, "n_heads": 1, "n_kv_heads": 1, "embed_bytes": 0, "head_bytes": 0,
                    "layers": [LAYER | {"count": 0}],
                }
            ),
            "count",
        ),
    ],
    ids=["schema", "no devices", "negative", "nan", "absent device", "no layers", "zero layers"],
)  # fmt: skip
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_instances_that_cannot_be_meant(document, complaint, form, tmp_path: Path, capsys) -> None:
    file = write(tmp_path / "instance.json", document)
    assert complaint in refused(capsys, 2, "plan", "--instance", file, *form)


def test_an_instance_that_fits_nowhere(tmp_path: Path, capsys) -> None:
    file = write(tmp_path / "instance.json", instance(devices=[MAC]))
    assert "memory" in refused(capsys, 1, "plan", "--instance", file)
    # A document that is answered in part is answered.
    both = instance()
    both["instances"] += instance(devices=[MAC])["instances"]
    assert run(["plan", "--json", "--instance", str(write(file, both))]) == 0
    answers = json.loads(capsys.readouterr().out)["instances"]
    assert [answer["feasible"] for answer in answers] == [True, False]
    assert answers[1]["plan"] is None


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"devices": []}, "no device"),
        ({"devices": [DEVICE | {"memory_limit": -1}]}, "memory_limit"),
        ({"devices": [DEVICE | {"memory_limit": float("nan")}]}, "malformed"),
        ({"devices": [DEVICE], "links": [{"a": "a", "b": "ghost"}]}, "ghost"),
        ({"devices": [DEVICE, DEVICE]}, "same id"),
    ],
    ids=["no devices", "negative", "nan", "absent device", "twice"],
)
def test_clusters_that_cannot_be_meant(document, complaint, spec: Path, tmp_path: Path, capsys) -> None:
    file = write(tmp_path / "cluster.json", document)
    assert complaint in refused(capsys, 2, "plan", spec, "--cluster", file)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"layers": 0, "layer_bytes": [], "kv_bytes": [], "windows": []}, "layer"),
        ({"layer_bytes": [-1] * 80}, "negative"),
        ({"embed_bytes": float("nan")}, "not a model's spec"),
    ],
    ids=["zero layers", "negative", "nan"],
)
def test_models_that_cannot_be_meant(change, complaint, tmp_path: Path, capsys) -> None:
    cluster = write(tmp_path / "cluster.json", {"devices": [DEVICE]})
    file = write(tmp_path / "model.json", msgspec.to_builtins(SPEC) | change)
    assert complaint in refused(capsys, 2, "plan", file, "--cluster", cluster)


@pytest.mark.parametrize(
    ("typed", "code", "complaint"),
    [
        (("--split", "40,30"), 2, "40+30 is 70 layers; 70B has 80"),
        (("--split", "80", "--on", "attic"), 2, "attic is not in the cluster file"),
        (("--split", "40,20,20"), 1, "3 stages for 2 devices"),
        (("--split", "1,79"), 1, "b is 2"),
    ],
    ids=["sum", "unknown device", "too many", "memory"],
)
def test_splits_that_cannot_be(typed, code, complaint, spec: Path, tmp_path: Path, capsys) -> None:
    devices = [DEVICE, DEVICE | {"id": "b", "memory_limit": 50 * 2**30}]
    cluster = write(tmp_path / "cluster.json", {"devices": devices})
    assert complaint in refused(capsys, code, "plan", spec, "--cluster", cluster, *typed)


def test_a_model_that_fits_no_device_of_the_cluster(spec: Path, tmp_path: Path, capsys) -> None:
    cluster = write(tmp_path / "cluster.json", {"devices": [DEVICE | {"memory_limit": 2**34}]})
    said = refused(capsys, 1, "plan", spec, "--cluster", cluster)
    assert "70B at context 4096 needs about" in said and "more on a would do" in said


def test_nothing_to_plan(capsys) -> None:
    assert "MODEL" in refused(capsys, 2, "plan")


def test_a_plan_is_a_card_or_one_document(spec: Path, tmp_path: Path, capsys) -> None:
    cluster = write(tmp_path / "cluster.json", {"devices": [DEVICE | {"chip": "Apple M3 Ultra"}]})
    command = ["plan", str(spec), "--cluster", str(cluster)]
    assert run(command) == 0
    assert "tok/s predicted" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == [80]


def test_what_is_typed_counts_more_than_what_the_settings_ask_of_plans(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("EXO_TUI_CONFIG", str(tmp_path))
    (tmp_path / "config.toml").write_text('[run]\ncontext = 2048\nkv_bits = 8\nbackend = "ring"\n')
    cluster = write(tmp_path / "cluster.json", {"devices": [DEVICE | {"chip": "Apple M3 Ultra"}]})
    command = ["plan", str(spec), "--cluster", str(cluster)]
    for typed, heading in (
        ([], "70B · 80 layers · context 2048, KV in 8 bits · ring"),
        (["--context", "1024"], "70B · 80 layers · context 1024, KV in 8 bits · ring"),
        (["--kv-bits", "0", "--backend", "auto"], "70B · 80 layers · context 2048 · sockets"),
    ):
        assert run([*command, *typed]) == 0
        assert capsys.readouterr().out.splitlines()[0] == heading


def test_the_example_of_the_readme(capsys) -> None:
    model, cluster = (
        ROOT / "tests" / "fixtures" / name for name in ("llama-3.3-70b-8bit.json", "three-macs.json")
    )
    assert (
        f"plan tests/fixtures/{model.name} --cluster tests/fixtures/{cluster.name}"
        in (ROOT / "README.md").read_text()
    )
    assert run(["plan", str(model), "--cluster", str(cluster), "--context", "8192"]) == 0
    shown = capsys.readouterr().out
    assert "studio" in shown and "macbook" in shown and "air is left out: its link takes 12 ms" in shown
