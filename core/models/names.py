"""What a tensor is, by its name, in the layouts that mlx-lm reads."""

from __future__ import annotations

import re

LAYER = re.compile(r"(?:^|\.)(?:layers|h)\.(\d+)\.")
EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens\w*|embed_in|\w*embeddings?|tok_emb\w*|wte|wpe)\.")
HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output|output_layer)\.")
EXPERT = re.compile(r"\.(?:switch_mlp|switch_glu|experts)\.")
# mlx-lm drops these when it loads: towers for images and sound, extra prediction layers, rotary tables.
DROPPED = re.compile(
    r"(?:^|\.)(?:vision_\w+|visual|multi_modal_projector|audio_\w+|embed_vision|embed_audio|mtp)\."
    r"|rotary_emb\.inv_freq$"
)
