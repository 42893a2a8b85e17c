"""The processes that are killed: two members of one group and their broker."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from service.broker import free_port
from tests import processes

_RESTART_SECONDS = 0.5


class Member:
    """One `lorikeet ingest`. What ends by itself is started again, as a supervisor would."""

    def __init__(self, folder: Path, bootstrap: str, name: str, **settings: Any) -> None:
        """`settings` are those of `ingest`; members of one `folder` share an installation."""
        self.name = name
        self.exits = 0
        self._port = free_port()
        mine = folder / name
        mine.mkdir()
        prefix = settings.pop("prefix")
        self._config = processes.write_config(
            mine,
            bootstrap,
            data=str(folder / "data"),
            kafka={"prefix": prefix},
            ingest=settings,
            metrics={"ingest": self._port},
        )
        self._log = mine / "ingest.log"
        self._lock = threading.Lock()
        self._wanted = True
        self._process = self._start()
        threading.Thread(target=self._keep, daemon=True).start()

    def _start(self) -> subprocess.Popen[bytes]:
        return processes.start("ingest", "--config", str(self._config), log=self._log)

    def _keep(self) -> None:
        while self._wanted:
            process = self._process
            process.wait()
            with self._lock:
                if self._wanted and process is self._process:
                    self.exits += 1
                    threading.Event().wait(_RESTART_SECONDS)
                    self._process = self._start()

    def started(self) -> bool:
        """Whether its metrics page is there: it is about to join the group."""
        return processes.listening(self._port)

    def kill(self) -> None:
        """SIGKILL, and start again at once."""
        with self._lock:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = self._start()

    def leave(self) -> None:
        """SIGTERM, wait for the end, start again."""
        with self._lock:
            processes.end(self._process)
            self._process = self._start()

    def freeze(self) -> None:
        """SIGSTOP."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it for good."""
        with self._lock:
            self._wanted = False
            processes.end(self._process)

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]
