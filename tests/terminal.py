"""A command in a terminal of its own, 80 columns wide, as a person at a keyboard meets it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Self

from tests.processes import ROOT

_ROWS, _COLUMNS = 40, 80
_CHUNK = 65_536


def _take_terminal() -> None:
    """Make standard input the terminal that a new session is hung up by."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A Lorikeet command whose input and output are a pseudo-terminal."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._screen, theirs = pty.openpty()
        size = struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        kept = {n: v for n, v in os.environ.items() if n not in ("VISUAL", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 — no thread runs in the tests
            env={**kept, "TERM": "dumb", **environment},
        )
        os.close(theirs)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._unread = ""
        self.open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def until(self, text: str, seconds: float = 60.0) -> str:
        """What appears up to and with a text."""
        deadline = time.monotonic() + seconds
        while text not in self._unread:
            assert time.monotonic() < deadline, f"waited for {text!r} in vain:\n{self._unread}"
            assert self._read(), f"the command ended before {text!r}:\n{self._unread}"
        found, _, self._unread = self._unread.partition(text)
        return found + text

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        os.write(self._screen, f"{line}\n".encode())

    def rest(self) -> tuple[int, str]:
        """The exit code, and what appeared until the end."""
        while self._read():
            pass
        return self.process.wait(60), self._unread

    def close(self) -> None:
        """Close the window: the command is hung up."""
        if self.open:
            self.open = False
            os.close(self._screen)

    def _read(self) -> bool:
        """Whether there is more to come."""
        ready, _, _ = select.select([self._screen], [], [], 1.0)
        if not ready:
            return True
        try:
            found = os.read(self._screen, _CHUNK)
        except OSError:  # Linux: nobody holds the other end any more
            return False
        self._unread = (self._unread + self._decoder.decode(found)).replace("\r\n", "\n")
        return bool(found)
