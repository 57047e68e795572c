"""The hostile corpus on a real terminal: every string a stranger can send is shown, and none is obeyed."""

from __future__ import annotations

import pytest

from tests.fuzz import HOSTILE
from tests.hostile import check, generated


@pytest.mark.timeout(300)
def test_nothing_hostile_reaches_the_terminal_and_nothing_is_obeyed() -> None:
    check([*HOSTILE, *generated(150)], settings=5)
