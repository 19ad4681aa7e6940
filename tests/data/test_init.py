"""The package imports nothing heavy."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("heavy", ["torch", "sklearn", "PIL", "soundfile", "scipy"])
def test_importing_the_room_is_light(heavy: str) -> None:
    code = f"import sys, arbench.data; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
