"""A lease that is held for as long as work takes, and is soon free if its process is killed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from schemas.errors import Code, NotReady
from stores.control import leases
from stores.control.database import Database

_SECONDS = 15.0
_PATIENCE = 60.0
_PAUSE = 0.5


class HeldLease(AbstractContextManager[None]):
    """Waits for the lease, a minute at most, then extends it from a thread of its own until left.

    Raises NotReady(LEASE_TAKEN) if somebody else keeps it.
    """

    def __init__(
        self, database: Database, name: str, owner: str, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._name = name
        self._owner = owner
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        began = time.monotonic()
        while not self._acquire():
            if time.monotonic() - began > _PATIENCE:
                raise NotReady(Code.LEASE_TAKEN, self._name)
            time.sleep(_PAUSE)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._database.write(lambda c: leases.release(c, self._name, self._owner))

    def _beat(self) -> None:
        while not self._stop.wait(_SECONDS / 3):
            self._acquire()

    def _acquire(self) -> bool:
        held = self._database.write(
            lambda c: leases.acquire(c, self._name, self._owner, self._clock(), _SECONDS)
        )
        return held is not None
