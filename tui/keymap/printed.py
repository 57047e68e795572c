"""Keys as they are printed on a keyboard."""

from __future__ import annotations

_NAMES = {
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "colon": ":",
    "slash": "/",
    "comma": ",",
    "full_stop": ".",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def key_named(printed: str) -> str:
    """Textual's name of a key as it is printed: `esc` is `escape`."""
    return next((name for name, told in _NAMES.items() if told == printed), printed)


def key_names(keys: str) -> str:
    """Keys of a binding as printed on them: `? f1`."""
    return " ".join(_NAMES.get(key, key) for key in keys.split(","))
