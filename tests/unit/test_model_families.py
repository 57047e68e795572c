"""A family that mlx-lm does not have is refused where the model is read, not by a rank."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlx_lm.utils import MODEL_REMAPPING

from core.models import families
from core.models.spec import ModelError, read
from tests.families import CONFIGS
from tests.unit import modelfiles


def test_the_names_are_those_of_mlx_lm() -> None:
    assert families.RENAMED == MODEL_REMAPPING
    assert all(map(families.known, [*CONFIGS, *MODEL_REMAPPING]))


def test_a_family_that_is_not_there_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = modelfiles.model(tmp_path, modelfiles.LLAMA | {"model_type": "llamantis"}, modelfiles.llama())
    with pytest.raises(ModelError, match="of the family llamantis, which this computer's mlx-lm does not"):
        read(path)
    monkeypatch.setattr(families, "modules", frozenset[str])  # where mlx-lm is not installed
    assert read(path).family == "llamantis"
