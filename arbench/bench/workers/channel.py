"""A worker's end of the channel to its parent: a descriptor of its own, which nothing that it measures writes to.

A worker's standard input is empty, and its standard output goes where its standard error goes. So a user's code may
read and print what it likes. The parent passes a connected socket and, as the first line, a secret word that precedes
every message: bytes that other code writes to the descriptor are no messages.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NoReturn

import msgspec

from arbench.bench.workers.strays import MARK, end_marked
from arbench.border.printable import to_json


class Channel:
    """Lines that a worker receives from its parent, and messages that it sends.

    When the parent dies or closes the channel, the worker ends at once, with every process that it has started.
    A process that the worker forks loses the channel: it can neither send a message nor keep the channel open.

    Args:
        fd: descriptor of a connected stream socket.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._mark = os.environ.get(MARK, "")  # a user's code may change the environment
        os.set_inheritable(fd, False)
        os.register_at_fork(after_in_child=self._lose)
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._read, name="channel", daemon=True).start()
        self._word = self.receive().strip()

    def receive(self) -> bytes:
        """Wait for the next line and return it."""
        return self._lines.get()

    def send(self, message: msgspec.Struct) -> None:
        """Send one message. Raises OSError if the descriptor was closed."""
        left = b"%s %s\n" % (self._word, to_json(message))
        while left:
            left = left[os.write(self._fd, left) :]

    def stay(self) -> NoReturn:
        """Wait until the parent ends this process, so that it can find what this process has started."""
        while True:
            threading.Event().wait()

    def _lose(self) -> None:
        fd, self._fd = self._fd, -1
        with suppress(OSError):  # the user's code may have closed it
            os.close(fd)

    def _read(self) -> None:
        with suppress(OSError), open(self._fd, "rb", closefd=False) as stream:
            for line in stream:
                self._lines.put(line)
        end_marked(self._mark, besides=os.getpid())
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def attached() -> Channel:
    """Return the channel whose descriptor is the last argument of the command, and remove that argument."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # lines of both appear in the order in which they are printed
            stream.reconfigure(line_buffering=True)
    return Channel(int(sys.argv.pop()))


def decoded(line: bytes, kind: Any) -> Any:
    """Return a received line as a message of this kind."""
    return msgspec.json.decode(line, type=kind)
