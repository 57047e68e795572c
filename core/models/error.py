"""The one error of this package."""

from __future__ import annotations


class ModelError(ValueError):
    """A model cannot be used; the text is one line that names the file or model at fault."""
