"""What planning needs to know of a model, from its config.json and safetensors headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.models import config as configuration
from core.models import families, names, safetensors
from core.models.config import Config
from core.models.error import ModelError
from core.models.safetensors import Tensor
from core.text import MALFORMED, clean_line
from core.worker.divide import ONE_FOR_ALL, refusal
from core.worker.whole import whole

__all__ = ["ModelError", "ModelSpec", "load", "read"]


class Together(msgspec.Struct, frozen=True):
    """Layers `first` to `last`, which one stage must hold all of; `why`, as it follows them in a sentence."""

    first: int
    last: int
    why: str


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A model's shape and weight. Sizes in bytes, as stored on disk."""

    name: str
    path: str
    family: str
    """`model_type` of config.json, which names the mlx-lm module."""
    layers: int
    layer_bytes: tuple[int, ...]
    """Weights of each layer."""
    embed_bytes: int
    """Token embedding. With tied embeddings the final norm too, as the last rank needs both."""
    head_bytes: int
    """Final norm and output projection; 0 if tied, where the last rank holds `embed_bytes` again."""
    tied: bool
    hidden: int
    heads: int
    kv_heads: int
    kv_bytes: tuple[int, ...]
    """KV cache bytes per token of each layer; 0 for a layer without one."""
    windows: tuple[int | None, ...]
    """Sliding window of each layer in tokens; None where it attends to the whole context."""
    vocabulary: int
    context: int
    """Longest context the model was made for, in tokens."""
    quantization: str = ""
    """Such as `4-bit g32`; empty when the weights are plain."""
    expert_bytes: tuple[int, ...] = ()
    """Of each layer, the weights that are routed experts; empty for a dense model."""
    experts: int = 0
    """Routed experts a layer has, and how many of them a token goes through."""
    experts_used: int = 0
    latent: bool = False
    """Attention over a latent cache (MLA), which a tensor group cannot share out."""
    unshared: dict[int, str] = {}
    """Numbers of ranks that cannot share each layer as a tensor group, and why; the others up to 8 can."""
    together: tuple[Together, ...] = ()
    """Runs of layers that no two stages can share out; in most families there are none."""
    width: int = 2
    """Bytes of a number as the model computes with it."""
    kv_bits: int = 0
    """Bits of a cached number where the cache is to be quantised; 0: it is not."""

    @property
    def weights(self) -> int:
        """Bytes of all weights on disk."""
        return sum(self.layer_bytes) + self.embed_bytes + (0 if self.tied else self.head_bytes)

    def uncut(self, layer: int) -> str:
        """Why no stage can begin with a layer, in words; empty where one can."""
        found = next((one for one in self.together if one.first < layer <= one.last), None)
        return f"layers {found.first} to {found.last} {found.why}" if found else ""

    @property
    def cuts(self) -> tuple[int, ...]:
        """Layers with which a stage behind the first one can begin."""
        return tuple(layer for layer in range(1, self.layers) if not self.uncut(layer))

    def packed(self, kv_bits: int) -> ModelSpec:
        """The same model with its KV cache in so many bits; each group of 64 has a scale and a bias besides.

        Raises ModelError for a cache that mlx-lm does not quantise; the worker knows more such families.
        """
        if self.kv_bits:
            raise ModelError(f"{self.name} has its cache in {self.kv_bits} bits already")
        if self.latent or any(self.windows):
            what = "a latent cache" if self.latent else "the cache of a sliding window"
            raise ModelError(f"{self.name} ({self.family}): mlx-lm does not quantise {what}")
        part = (kv_bits / 8 + 2 * self.width / 64) / self.width
        return msgspec.structs.replace(
            self, kv_bits=kv_bits, kv_bytes=tuple(round(part * one) for one in self.kv_bytes)
        )


SHARERS = range(2, 9)
"""Ranks a tensor group may have."""
# fmt: off
_SLIDING = frozenset(
    (
        "afmoe", "cohere2", "exaone4", "exaone_moe", "gemma3", "gemma3_text", "gemma3n",
        "gemma3n_text", "gemma4", "gemma4_text", "gpt_oss", "laguna", "llama", "mellum",
        "ministral3", "mistral3", "muse_glimmer", "olmo3", "spark2_5", "step3p5",
    )
)
# fmt: on
"""Families whose sliding layers mlx-lm 0.32.2 gives a rotating cache; the others keep the whole context."""
_EXPANDED_MLA = frozenset(("deepseek_v2", "minicpm3", "youtu_llm"))
"""Families with latent attention for which mlx-lm 0.32.2 caches whole keys and values all the same."""
_UNSTATED_CONTEXT = 8192
"""Tokens, where config.json names no limit: the shortest among the models met without one."""


def read(path: Path) -> ModelSpec:
    """The spec of the model in a directory, from config.json and the headers of its weight files.

    Raises ModelError, in one line that names the file, when the directory is missing or incomplete,
    a file is unreadable or truncated, the weights are not those of the layers config.json names, or mlx-lm
    has no such family.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is not a directory")
    family, config, keys = configuration.read(path / "config.json")
    if not families.known(family):
        raise ModelError(f"{path} is of the family {family}, which this computer's mlx-lm does not have")
    tensors = safetensors.tensors(safetensors.files(path))
    layer_bytes, embed, head, has_head = _sizes(path, config, tensors)
    experts = min(config.num_experts_per_tok or 0, config.num_experts or 0)
    tied = config.tie_word_embeddings is True or not has_head
    kinds = _kinds(config)
    width = 4 if _float_type(tensors) == "F32" else 2
    return ModelSpec(
        name=_name(path),
        path=str(path),
        family=family,
        layers=config.num_hidden_layers,
        layer_bytes=layer_bytes,
        embed_bytes=embed + head if tied else embed,
        head_bytes=0 if tied else head,
        tied=tied,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        kv_bytes=tuple(width * _kv_values(config, i, kind) for i, kind in enumerate(kinds)),
        windows=tuple(_window(config, kind) for kind in kinds),
        vocabulary=config.vocab_size,
        context=config.max_position_embeddings or _UNSTATED_CONTEXT,
        quantization=_quantization(config),
        expert_bytes=_expert_bytes(config, tensors) if experts else (),
        experts=config.num_experts or 0 if experts else 0,
        experts_used=experts,
        latent=config.model_type in ONE_FOR_ALL
        or (bool(config.kv_lora_rank) and config.model_type not in _EXPANDED_MLA),
        together=tuple(Together(*run) for run in whole(keys, config.num_hidden_layers)),
        unshared={size: clean_line(why) for size in SHARERS if (why := refusal(keys, size))},
        width=width,
    )


def load(file: Path) -> ModelSpec:
    """The spec in a file, as `exo-tui plan --json` prints it under `model`: for planning without weights.

    Raises ModelError, in one line, when the file cannot be read or contradicts itself.
    """
    try:
        spec = msgspec.json.decode(file.read_bytes(), type=ModelSpec)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from None
    except MALFORMED as error:
        raise ModelError(f"{file} is not a model's spec: {clean_line(str(error))}") from None
    columns = [spec.layer_bytes, spec.kv_bytes, spec.windows, spec.expert_bytes or spec.layer_bytes]
    if spec.layers < 1 or any(len(column) != spec.layers for column in columns):
        raise ModelError(f"{file} is not a model's spec: not every list has one value a layer")
    sizes = [*spec.layer_bytes, *spec.kv_bytes, *spec.expert_bytes, spec.embed_bytes, spec.head_bytes]
    counts = [spec.hidden, spec.heads, spec.kv_heads, spec.vocabulary, spec.context]
    if min(sizes) < 0 or min(counts) < 1 or any(window is not None and window < 1 for window in spec.windows):
        raise ModelError(f"{file} is not a model's spec: a size is negative or a count zero")
    if any(not 0 <= one.first < one.last < spec.layers for one in spec.together):
        raise ModelError(f"{file} is not a model's spec: layers that belong together are not there")
    if any(spec.expert_bytes) and not 1 <= spec.experts_used <= spec.experts:
        raise ModelError(
            f"{file} is not a model's spec: it uses {spec.experts_used} of {spec.experts} experts"
        )
    return msgspec.structs.replace(
        spec,
        name=clean_line(spec.name),
        quantization=clean_line(spec.quantization),
        together=tuple(msgspec.structs.replace(one, why=clean_line(one.why)) for one in spec.together),
    )


def _name(path: Path) -> str:
    # In the hub's cache the directory is named after a commit, and the model three levels up.
    repository = path.resolve().parent.parent.name
    if path.resolve().parent.name == "snapshots" and repository.startswith("models--"):
        return clean_line(repository.removeprefix("models--").replace("--", "/"))
    return clean_line(path.resolve().name)


def _sizes(
    path: Path, config: Config, tensors: Mapping[str, Tensor]
) -> tuple[tuple[int, ...], int, int, bool]:
    """Bytes of each layer, of the embedding and of the rest, and whether there is an output projection."""
    layers = [0] * config.num_hidden_layers
    seen: set[int] = set()
    embed = head = 0
    has_head = False
    for name, tensor in tensors.items():
        if names.DROPPED.search(name):
            continue
        if match := names.LAYER.search(name):
            layer = int(match[1])
            if layer < len(layers):
                layers[layer] += tensor.nbytes
                seen.add(layer)
            elif layer >= len(layers) + (config.num_nextn_predict_layers or 0):
                raise ModelError(
                    f"{path} has weights of layer {layer}, but its config.json says {len(layers)} layers"
                )
        elif names.EMBEDDING.search(name):
            embed += tensor.nbytes
        elif not names.HEAD.search(name):
            head += tensor.nbytes
        elif not config.tie_word_embeddings:  # mlx-lm drops the spare copy some tied models store
            head += tensor.nbytes
            has_head = True
    absent = [layer for layer in range(len(layers)) if layer not in seen]
    if absent:
        raise ModelError(
            f"{path} has no weights of layer {absent[0]}; its config.json says {len(layers)} layers"
        )
    return tuple(layers), embed, head, has_head


def _expert_bytes(config: Config, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Bytes of each layer's routed experts."""
    sizes = [0] * config.num_hidden_layers
    for name, tensor in tensors.items():
        match = names.LAYER.search(name)
        if (
            match
            and int(match[1]) < len(sizes)
            and names.EXPERT.search(name)
            and not names.DROPPED.search(name)
        ):
            sizes[int(match[1])] += tensor.nbytes
    return tuple(sizes)


def _float_type(tensors: Mapping[str, Tensor]) -> str:
    """The float type most bytes are stored in, which is the one the model computes and caches in."""
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.dtype in ("F32", "F16", "BF16"):
            sizes[tensor.dtype] += tensor.nbytes
    return sizes.most_common(1)[0][0] if sizes else "BF16"


def _kinds(config: Config) -> list[str]:
    """How each layer attends, in the words of `layer_types`."""
    layers = range(config.num_hidden_layers)
    if config.layer_types is not None and len(config.layer_types) >= len(layers):
        return config.layer_types[: len(layers)]
    if config.model_type == "gpt_oss":
        return ["full_attention" if i % 2 else "sliding_attention" for i in layers]
    if config.full_attention_interval:
        every, other = config.full_attention_interval, "linear_attention"
    elif isinstance(config.sliding_window_pattern, int):
        every, other = config.sliding_window_pattern, "sliding_attention"
    else:
        return ["full_attention" for _ in layers]
    return [other if (i + 1) % every else "full_attention" for i in layers]


def _window(config: Config, kind: str) -> int | None:
    if kind == "chunked_attention":
        return config.attention_chunk_size
    return config.sliding_window if kind == "sliding_attention" and config.model_type in _SLIDING else None


def _kv_values(config: Config, layer: int, kind: str) -> int:
    """Numbers a layer caches for one token; 0 where it has a fixed state or uses another layer's cache."""
    if kind in ("linear_attention", "conv", "mamba"):
        return 0
    if layer >= config.num_hidden_layers - (config.num_kv_shared_layers or 0):
        return 0
    heads = config.num_key_value_heads or config.num_attention_heads
    head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
    if config.kv_lora_rank:
        rope = config.qk_rope_head_dim or 0
        if config.model_type in _EXPANDED_MLA:
            value_dim = config.v_head_dim or head_dim
            return config.num_attention_heads * ((config.qk_nope_head_dim or 0) + rope + value_dim)
        # The indexer of sparse attention caches its key twice over.
        return config.kv_lora_rank + rope + 2 * (config.index_head_dim or 0)
    if kind == "full_attention" and config.global_head_dim:
        return 2 * (config.num_global_key_value_heads or heads) * config.global_head_dim
    return 2 * heads * head_dim


def _quantization(config: Config) -> str:
    # mlx-lm writes the first; the second is all a model quantised elsewhere has.
    for found in (config.quantization, config.quantization_config):
        if found and found.bits and found.group_size:
            mode = "" if found.mode in (None, "affine") else f" {found.mode}"
            return clean_line(f"{found.bits}-bit g{found.group_size}{mode}")
        if found and found.quant_method:
            return clean_line(found.quant_method)
    return ""
