"""Optional packages that models of other people come from, and what to install where one is missing."""

from __future__ import annotations

import importlib.util

from arbench.models import ModelError


def needed(package: str, extra: str, spec: str) -> None:
    """Check that an optional package is installed; nothing is imported.

    Args:
        package: name of the package, as in ``import``.
        extra: extra of arbench that installs it.
        spec: what the user calls the model.

    Raises:
        ModelError: it is not installed; the message is one line with the command that installs it.
    """
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # a package that was made by hand, or is half removed
        found = None
    if found is None:
        raise ModelError(f"model '{spec}' needs {package}, which is not installed: pip install 'arbench[{extra}]'")
