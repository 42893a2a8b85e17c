"""vLLM's adapter endpoints, and the reference server that speaks them too.

`POST /v1/load_lora_adapter`, `POST /v1/unload_lora_adapter`, `GET /v1/models`, chat completions with
log-probabilities. The reference server also takes the route (`PUT /v1/route`); vLLM answers 404
there, which means that its callers choose the arm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from schemas.chat import Message, answer_text, template_turn
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.rollouts import Route
from serving.port import Completion


class VllmGateway:
    """See `Gateway`."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        """`url` is one replica's address; `timeout` in seconds bounds every call."""
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=timeout)

    def adapters(self) -> frozenset[str]:
        """Names of the adapters that are loaded: the models that have a parent."""
        answer = self._call("GET", "/v1/models")
        with self._understood(answer):
            models = answer.json()["data"]
            return frozenset(str(model["id"]) for model in models if model.get("parent"))

    def load(self, name: str, folder: str) -> None:
        """Load an adapter; 400 with "already" means it is there."""
        body = {"lora_name": name, "lora_path": folder}
        answer = self._call("POST", "/v1/load_lora_adapter", json=body, check=False)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise Unrecoverable(Code.LORA_OFF, self.url)
        if answer.is_error and "already" not in answer.text:
            raise NotReady(Code.NOT_APPLIED, f"{self.url}: {answer.text[:200]}")

    def unload(self, name: str) -> None:
        """Forget an adapter."""
        body = {"lora_name": name}
        self._call("POST", "/v1/unload_lora_adapter", json=body, check=False)

    def complete(
        self, model: str, messages: Sequence[dict[str, Any]], tools: Sequence[Any], limit: int
    ) -> Completion:
        """A greedy answer by the named adapter."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [template_turn(turn) for turn in messages],
            "max_tokens": limit,
            "temperature": 0,
            "logprobs": True,
        }
        if tools:
            body["tools"] = list(tools)
        answer = self._call("POST", "/v1/chat/completions", json=body)
        with self._understood(answer):
            choice = answer.json()["choices"][0]
            scored = (choice.get("logprobs") or {}).get("content") or []
            return Completion(
                text=_text(choice["message"]),
                logprobs=tuple(float(token["logprob"]) for token in scored),
            )

    def follow(self, route: Route) -> bool:
        """Hand over the route."""
        answer = self._call("PUT", "/v1/route", json=route.model_dump(mode="json"), check=False)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return False
        if answer.is_error:
            raise NotReady(Code.NOT_APPLIED, f"{self.url}: {answer.text[:200]}")
        return True

    def following(self) -> int | None:
        """The revision of the route it follows."""
        answer = self._call("GET", "/v1/route", check=False)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.is_error:
            raise NotReady(Code.GATEWAY_DOWN, f"{self.url}/v1/route: {answer.status_code}")
        with self._understood(answer):
            return int(answer.json()["revision"])

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    @contextlib.contextmanager
    def _understood(self, answer: httpx.Response) -> Iterator[None]:
        """Whatever else answers at this address is a gateway that is not there."""
        try:
            yield
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            said = answer.text[:80].replace("\n", " ")
            raise NotReady(
                Code.GATEWAY_DOWN, f"{self.url} answers {said!r}, not as vLLM does"
            ) from error

    def _call(
        self, method: str, path: str, *, check: bool = True, **options: Any
    ) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise NotReady(Code.GATEWAY_DOWN, f"{self.url}: {error}") from error
        if check and answer.is_error:
            raise NotReady(Code.GATEWAY_DOWN, f"{self.url}{path}: {answer.status_code}")
        return answer


def _text(message: dict[str, Any]) -> str:
    return answer_text(Message.model_validate(message).canonical())
