"""Bring every gateway replica to the desired state, and read back that it is.

Load under the immutable name, verify the signature first, ask a few recorded prompts and compare the
log-probabilities, hand over the route, read it back. The read-back is the acknowledgement. Who may act
is a lease, so that the API, the control worker and the command line never pull in two directions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from operations.fetch_adapter import FetchAdapter
from operations.settings import ModelSettings
from schemas import lifecycle
from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from schemas.telemetry import Meter, Metric
from serving.port import Gateway
from stores.control import leases, outbox, registry, rollouts
from stores.control.database import Database
from stores.control.registry import AdapterVersion
from stores.control.rollouts import DesiredRoute

_LEASE_SECONDS = 30.0
_GRACE_SECONDS = 60.0
_TOLERANCE = 0.1
_UNKNOWN = -1
Connect = Callable[[str], Gateway]


class ConvergeGateways:
    """See the module. Safe to repeat; a replica that restarted is brought back."""

    def __init__(
        self,
        database: Database,
        fetch: FetchAdapter,
        connect: Connect,
        owner: str,
        meter: Meter,
    ) -> None:
        self._database = database
        self._fetch = fetch
        self._connect = connect
        self._owner = owner
        self._meter = meter
        self._gateways: dict[str, Gateway] = {}
        self._checked: set[tuple[str, str]] = set()

    def __call__(self, model: ModelSettings, clock: Callable[[], datetime]) -> bool:
        """Whether every replica now serves what was decided; False while another process acts."""
        desired = self._database.read(lambda c: rollouts.route(c, model.tenant, model.name))
        if desired is None:
            return True
        lease = f"converge:{model.tenant}/{model.name}"
        if not self._acquire(lease, clock()):
            return False
        try:
            return self._converge(model, desired, clock)
        finally:
            self._database.write(lambda c: leases.release(c, lease, self._owner))

    def _acquire(self, lease: str, now: datetime) -> bool:
        return (
            self._database.write(
                lambda c: leases.acquire(c, lease, self._owner, now, _LEASE_SECONDS)
            )
            is not None
        )

    def _converge(
        self, model: ModelSettings, desired: DesiredRoute, clock: Callable[[], datetime]
    ) -> bool:
        needed = self._database.read(lambda c: _needed(c, desired))
        ready = 0
        for url in model.gateways:
            revision, detail = self._bring(url, model, desired, needed, clock())
            self._note(model, url, revision, detail, clock())
            ready += revision == desired.revision
        names = {"tenant": model.tenant, "model": model.name}
        self._meter.set(Metric.GATEWAYS_READY, ready, **names)
        if ready < len(model.gateways):
            return False
        self._confirm(model, desired, clock())
        return True

    def _note(
        self, model: ModelSettings, url: str, revision: int, detail: str, now: datetime
    ) -> None:
        self._database.write(
            lambda c: rollouts.note_replica(c, model.tenant, model.name, url, revision, detail, now)
        )

    def _bring(
        self,
        url: str,
        model: ModelSettings,
        desired: DesiredRoute,
        needed: Sequence[AdapterVersion],
        now: datetime,
    ) -> tuple[int, str]:
        """(revision it follows, what stood in the way)."""
        try:
            gateway = self._gateways.setdefault(url, self._connect(url))
            loaded = gateway.adapters()
            for version in needed:
                self._load(gateway, version, loaded)
            if gateway.following() != desired.revision:
                gateway.follow(desired.route)
            followed = gateway.following()
            if _settled(desired, now):
                self._forget(gateway, model, loaded, {version.adapter for version in needed})
        except LorikeetError as error:
            return _UNKNOWN, str(error)
        if followed is None or followed == desired.revision:
            return desired.revision, ""
        return followed, f"follows revision {followed}"

    def _load(self, gateway: Gateway, version: AdapterVersion, loaded: frozenset[str]) -> None:
        name = version.adapter
        if name in loaded and (gateway.url, name) in self._checked:
            return
        if name not in loaded:
            gateway.load(name, str(self._fetch(version)))
        self._check(gateway, version)
        self._checked.add((gateway.url, name))

    def _check(self, gateway: Gateway, version: AdapterVersion) -> None:
        """The canary after loading: recorded answers come again, with their log-probabilities.

        The record differs from the base model's answers (the probe saw to that), so a gateway that
        silently serves the base fails here.
        """
        record: list[dict[str, Any]] = (version.probe or {}).get("record", [])
        good = sum(_same(gateway, version.adapter, case) for case in record)
        if record and good * 2 < len(record):
            gateway.unload(version.adapter)
            raise NotReady(
                Code.NOT_APPLIED,
                f"{gateway.url}: {version.adapter} gives {good} of {len(record)} known answers",
            )

    def _forget(
        self, gateway: Gateway, model: ModelSettings, loaded: frozenset[str], keep: set[str]
    ) -> None:
        """Unload our adapters that nothing needs any more; others are not ours to touch."""
        for name in sorted(loaded - keep):
            if name.startswith(f"{model.slug}-"):
                gateway.unload(name)
                self._checked.discard((gateway.url, name))

    def _confirm(self, model: ModelSettings, desired: DesiredRoute, now: datetime) -> None:
        """Mark the revision as converged and say so, once."""

        def work(connection: Connection) -> bool:
            key = (model.tenant, model.name)
            if not rollouts.mark_converged(connection, *key, desired.revision, now):
                return False
            body = lifecycle.ModelConverged(
                tenant_id=model.tenant,
                model=model.name,
                decision_id=desired.decision_id,
                action=desired.action,
                replicas=len(model.gateways),
                converged_at=now,
            )
            outbox.add(
                connection,
                now,
                type=lifecycle.CONVERGED,
                tenant=model.tenant,
                model=model.name,
                decision_id=f"{desired.decision_id}/{desired.revision}",
                payload=body.model_dump(mode="json"),
            )
            return True

        if self._database.write(work) and desired.detected_at is not None:
            seconds = (now - desired.detected_at).total_seconds()
            names = {"tenant": model.tenant, "model": model.name}
            self._meter.set(Metric.RESTORE, seconds, **names)


def _needed(connection: Connection, desired: DesiredRoute) -> list[AdapterVersion]:
    """What has to be loaded: what the route names, and the champion and its predecessor."""
    key = (desired.tenant, desired.model)
    named = {arm.get("adapter") for arm in desired.route.arms.values()}
    if desired.route.shadow:
        named.add(desired.route.shadow["adapter"])
    aliases = {
        registry.alias(connection, *key, name) for name in (registry.CHAMPION, registry.PREVIOUS)
    }
    found = [
        version
        for version in registry.every(connection, *key)
        if version.adapter in named or version.version in aliases
    ]
    missing = {name for name in named if name} - {version.adapter for version in found}
    if missing:
        raise Unrecoverable(Code.NO_SUCH_VERSION, ", ".join(sorted(missing)))
    return found


def _settled(desired: DesiredRoute, now: datetime) -> bool:
    """Whether sessions that began under an older route have had time to end."""
    return (
        desired.converged_at is not None
        and (now - desired.converged_at).total_seconds() > _GRACE_SECONDS
    )


def _same(gateway: Gateway, name: str, case: Mapping[str, Any]) -> bool:
    """The same text with the same log-probabilities; servers may leave the end token out."""
    answer = gateway.complete(name, case["messages"], case["tools"], len(case["tokens"]))
    given, known = answer.logprobs, case["logprobs"]
    if answer.text.strip() != str(case["text"]).strip() or not given:
        return False
    if abs(len(given) - len(known)) > 1:
        return False
    return all(abs(left - right) <= _TOLERANCE for left, right in zip(given, known, strict=False))
