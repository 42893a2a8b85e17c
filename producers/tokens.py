"""Tokens for SASL OAUTHBEARER (RFC 7628): from a file, or from a token endpoint."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from producers.settings import KafkaSecurity

_SECONDS = 10.0
_USED_FOR = 0.8
"""Share of a token's life after which another one is asked for."""


def token_provider(security: KafkaSecurity) -> AbstractTokenProvider:
    """Where the tokens of a connection come from.

    aiokafka retries after a KafkaError; anything else would end its background tasks unseen.
    """
    if security.token_file is not None:
        return FileToken(security.token_file)
    return ClientCredentials(security)


class FileToken(AbstractTokenProvider):  # type: ignore[misc]
    """A file that somebody else keeps up to date; read at each login."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """The token. Raises SaslAuthenticationFailed naming the file."""
        try:
            found = await asyncio.to_thread(self._path.read_text)
        except (OSError, ValueError) as error:
            raise SaslAuthenticationFailed(f"token file {self._path}: {error}") from error
        return found.strip()


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """The client credentials grant (RFC 6749, section 4.4), one token for as long as it is good."""

    def __init__(self, security: KafkaSecurity) -> None:
        self._security = security
        self._token = ""
        self._good_until = 0.0

    async def token(self) -> str:
        """The token. Raises SaslAuthenticationFailed, or KafkaConnectionError without an answer."""
        if time.monotonic() >= self._good_until:
            asked = time.monotonic()
            answer = await self._ask()
            self._token = str(answer["access_token"])
            self._good_until = asked + _USED_FOR * float(answer.get("expires_in", 0))
        return self._token

    async def _ask(self) -> dict[str, Any]:
        url = str(self._security.token_url)
        form = {"grant_type": "client_credentials"}
        if self._security.scope:
            form["scope"] = self._security.scope
        try:
            async with httpx.AsyncClient(timeout=_SECONDS) as client:
                answer = await client.post(url, data=form, auth=self._credentials())
        except httpx.HTTPError as error:
            raise KafkaConnectionError(f"token endpoint {url}: {error!r}") from error
        if answer.is_server_error:
            raise KafkaConnectionError(f"token endpoint {url}: {answer.status_code}")
        return _granted(url, answer)

    def _credentials(self) -> tuple[str, str]:
        secret = self._security.client_secret
        return self._security.client_id or "", secret.get_secret_value() if secret else ""


def _granted(url: str, answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not answer.is_success or not isinstance(said, dict) or "access_token" not in said:
        why = said.get("error", "") if isinstance(said, dict) else "not JSON"
        raise SaslAuthenticationFailed(f"token endpoint {url}: {answer.status_code} {why}".strip())
    return said
