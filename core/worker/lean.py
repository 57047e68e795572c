# pyright: basic
"""mlx_lm without what only text needs. Whatever it is used for, it imports transformers and the client of the
model hub, which are most of the seconds and of the memory that a rank takes before it holds a tensor."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAMES = ("transformers", "huggingface_hub")


class _Absent(type):
    """A class of whose methods nothing comes: tokenizers are registered as mlx_lm is imported."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class _StandIns:
    """Finds and loads, in place of these packages, modules that have a class of any name."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        known = name.partition(".")[0] in NAMES
        return ModuleSpec(name, self, is_package=True) if known else None  # type: ignore[arg-type]

    def create_module(self, _: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        def absent(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return _Absent(name, (), {})

        module.__getattr__ = absent  # type: ignore[method-assign]


def import_mlx_lm() -> None:
    """Import it so, for good; as it is where its version wants more of those packages than stand-ins have."""
    finder: Any = _StandIns()
    sys.meta_path.insert(0, finder)
    try:
        import mlx_lm.utils
    except Exception:
        sys.meta_path.remove(finder)
        for name in [one for one in sys.modules if one.partition(".")[0] in ("mlx_lm", *NAMES)]:
            del sys.modules[name]
        import mlx_lm  # noqa: F401
