"""A tiny model of any family, whole and cut into stages, in one process."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map_with_path
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import _get_classes, load_model, quantize_model, save_config, save_model

from core.worker.bands import Bands
from core.worker.layers import Unsplittable, layers_of
from core.worker.stage import Stage

PIECES = (11, 7, 1, 1, 1)  # tokens of the passes: beyond a window of 8, in chunks, then one by one


def write(config: dict[str, Any], out: Path, bits: int = 0, mode: str = "affine") -> Path:
    """A model directory without a tokenizer, weights random; `bits` 0: float32."""
    config = copy.deepcopy(config)
    model_class, arguments = _get_classes(config)
    mx.random.seed(7)
    model = model_class(arguments.from_dict(copy.deepcopy(config)))
    model.update(tree_map_with_path(_random, model.parameters()))
    mx.eval(model.parameters())
    if bits:
        model, config = quantize_model(model, config, group_size=32, bits=bits, mode=mode)
    out.mkdir(parents=True)
    save_model(out, model)
    save_config(config, out / "config.json")
    return out


def _random(_: str, was: Any) -> Any:
    if not isinstance(was, mx.array) or not mx.issubdtype(was.dtype, mx.floating):
        return was
    noise = mx.random.normal(was.shape)
    if was.ndim <= 1:
        return (was + 0.05 * noise).astype(mx.float32)
    return 1.5 * noise / was.shape[-1] ** 0.5


def stages(path: Path, count: int, seed: str) -> list[Stage]:
    """Three stages cut where it is allowed, at random."""
    chance = random.Random(seed)
    pairs = [(low, high) for low in range(1, count) for high in range(low + 1, count)]
    chance.shuffle(pairs)
    refused: Unsplittable | None = None
    for low, high in pairs:
        try:
            return [Stage(path, *span, lambda *_: None) for span in ((0, low), (low, high), (high, count))]
        except Unsplittable as error:
            if "must stay together" not in str(error):
                raise
            refused = error
    raise refused or Unsplittable("it has fewer than three layers")


def difference(config: dict[str, Any], path: Path, **quantised: Any) -> tuple[list[int], float, float]:
    """Where it was cut, and how far logits are from the whole model's at most: of one request, of merged.

    Raises Unsplittable.
    """
    mx.disable_compile()
    write(config, path, **quantised)
    whole, _ = load_model(path, strict=False)
    parts = stages(path, len(layers_of(whole)), str(config["model_type"]))
    caches = [part.caches() for part in parts]
    cache = make_prompt_cache(whole)
    worst, at = 0.0, 3
    vocabulary = min(100, (config.get("text_config") or config).get("vocab_size") or 100)
    for length in PIECES:
        ids = mx.array([[(at + i * 37 + i * i) % vocabulary for i in range(length)]])
        at += length
        expected = whole(ids, cache=cache)
        passed = ids
        for part, own in zip(parts, caches, strict=True):
            passed = part.forward(passed, own)
            mx.eval(passed)  # so that nothing of one stage can leak into the next
            own.evaluate()
        mx.eval(expected, [one.state for one in cache])
        assert expected.shape == passed.shape
        off = mx.abs(expected - passed).max().item()
        assert isinstance(off, float)
        worst = max(worst, off if off == off else float("inf"))
        assert mx.std(expected).item() > 0, "the logits are all alike, or not numbers"
    return [part.layers for part in parts], worst, _merged(whole, parts, vocabulary)


def _merged(whole: Any, parts: list[Stage], vocabulary: int) -> float:
    """Requests of several lengths that decode together, then two of them, then each alone again."""
    prompts = [[(5 + i * 7) % vocabulary for i in range(length)] for length in (3, 13, 9)]
    expected = [make_prompt_cache(whole) for _ in prompts]
    own = [{slot: part.caches() for slot in range(len(prompts))} for part in parts]
    bands = [Bands(part) for part in parts]
    for slot, prompt in enumerate(prompts):
        passed = mx.array([prompt])
        mx.eval(whole(passed, cache=expected[slot]), [one.state for one in expected[slot]])
        for part, caches in zip(parts, own, strict=True):
            passed = part.forward(passed, caches[slot])
            mx.eval(passed)
            caches[slot].evaluate()
    worst = 0.0
    for step, slots in enumerate([[0, 1, 2]] * 3 + [[2, 1]] * 2 + [[1], [0]]):
        ids = mx.array([[(11 * slot + step) % vocabulary] for slot in slots])
        passed = ids
        for part, caches, mine in zip(parts, own, bands, strict=True):
            if len(slots) == 1:
                mine.loosen(slots[0])
                passed = part.forward(passed, caches[slots[0]])
            else:
                band = mine.get(len(slots)) or mine.form(len(slots), {slot: caches[slot] for slot in slots})
                passed = band.forward(passed)
            mx.eval(passed)
        for row, slot in enumerate(slots):
            single = whole(ids[row : row + 1], cache=expected[slot])
            worst = max(worst, mx.abs(single - passed[row : row + 1]).max().item())
    return worst
