"""Files that optional packages carry, found without importing the packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from arbench.data.errors import DataError

EXTRA = "pip install 'arbench[data]'"
"""Command that installs the packages of the extra ``data``."""


def missing(name: str, package: str, command: str) -> DataError:
    """Return the error of data ``name`` whose package is not installed, with the command that installs it."""
    return DataError(Path(name), f"needs the package {package}, which is not installed; {command}")


def carried(name: str, package: str, file: str, command: str) -> Path:
    """Return the path of a file that an installed package carries.

    It is looked up in the list that the installer left, since an import may cost seconds or download something.

    Args:
        name: name of the data, for the message.
        package: name of the package on the index.
        file: path of the file inside the package's installation.
        command: command that installs the package.

    Raises:
        DataError: the package is not installed, or its installation has no such file.
    """
    try:
        known = files(package) or []
    except PackageNotFoundError:
        raise missing(name, package, command) from None
    for one in known:
        if one.as_posix() == file and (path := Path(str(one.locate()))).is_file():
            return path
    raise DataError(Path(name), f"the installed package {package} has no file {file}; {command} --force-reinstall")
