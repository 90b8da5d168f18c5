"""Asks any provider that litellm knows; litellm itself is imported at the first call."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from evalrunner.adapters.chat_format import (
    ErrorInReply,
    parsed,
    read_reply,
    response_of,
    without_keys,
)
from evalrunner.adapters.credentials import HOSTED, KeyRing
from evalrunner.adapters.http_faults import classify, rate_hints, shown_text
from evalrunner.adapters.http_wire import Wire, WireResponse
from evalrunner.engine.ports import WireReply
from evalrunner.errors import (
    CallTimeout,
    ContentFiltered,
    CredentialsRejected,
    MalformedReply,
    ModelCallError,
    ProviderUnavailable,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
)
from evalrunner.values.exchange import ModelRequest
from evalrunner.values.spec import Endpoint

if TYPE_CHECKING:
    from evalrunner.adapters.litellm_wire import Attempt

ERROR_KINDS: Final[Mapping[str, type[ModelCallError]]] = {
    "APIConnectionError": ProviderUnavailable,
    "APIError": ProviderUnavailable,
    "APIResponseValidationError": MalformedReply,
    "AuthenticationError": CredentialsRejected,
    "BadGatewayError": ProviderUnavailable,
    "BadRequestError": RequestRejected,
    "BlockedPiiEntityError": ContentFiltered,
    "BudgetExceededError": QuotaExhausted,
    "ContentPolicyViolationError": ContentFiltered,
    "ContextWindowExceededError": RequestRejected,
    "GuardrailRaisedException": ContentFiltered,
    "ImageFetchError": RequestRejected,
    "InternalServerError": ProviderUnavailable,
    "InvalidRequestError": RequestRejected,
    "JSONSchemaValidationError": MalformedReply,
    "LiteLLMUnknownProvider": RequestRejected,
    "MidStreamFallbackError": ProviderUnavailable,
    "MockException": ProviderUnavailable,
    "ModelNotMappedError": RequestRejected,
    "ModifyResponseException": ContentFiltered,
    "NotFoundError": RequestRejected,
    "OpenAIError": ProviderUnavailable,
    "PaymentRequiredError": QuotaExhausted,
    "PermissionDeniedError": CredentialsRejected,
    "RateLimitError": RateLimited,
    "RejectedRequestError": ContentFiltered,
    "SensitiveDataRouteException": ContentFiltered,
    "ServiceUnavailableError": ProviderUnavailable,
    "Timeout": CallTimeout,
    "UnprocessableEntityError": RequestRejected,
    "UnsupportedParamsError": RequestRejected,
    "VectorStoreSearchError": RequestRejected,
}
"""What litellm's errors mean where no reply on the wire says it better."""

_loading = threading.Lock()


class LitellmClient:
    """A :class:`~evalrunner.engine.ports.ModelClient` for one endpoint of any provider.

    litellm translates; the wire is ours. So one call is one request, goes to a host of the provider
    (or to the ``base_url``) or nowhere, follows no redirect, and ends with its deadline. Where the reply is
    an error, or speaks the OpenAI wire format, our own reading of it counts.
    """

    def __init__(
        self, endpoint: Endpoint, *, wire: Wire | None = None, keys: KeyRing | None = None
    ) -> None:
        self._endpoint = endpoint
        self._wire = wire or Wire()
        self._keys = keys or KeyRing()

    async def complete(self, request: ModelRequest, deadline_seconds: float) -> WireReply:
        """Asks once; see :class:`~evalrunner.engine.ports.ModelClient`."""
        library = await asyncio.to_thread(load_litellm)  # seconds, once, on nobody's deadline
        ends_at = time.monotonic() + deadline_seconds
        arguments = self._arguments(request, deadline_seconds)
        _refuse_surrogates(arguments)
        hosts = self._hosts()
        attempt: Attempt | None = None
        scope = asyncio.timeout(deadline_seconds)
        try:
            async with scope:
                attempt = _begin(self._wire, ends_at, hosts)
                reply = await library.acompletion(**arguments)
        except Exception as error:
            if scope.expired():
                sent = attempt is not None and bool(attempt.sent)
                raise CallTimeout(
                    f"no complete reply within {deadline_seconds:g} s", possibly_paid=sent
                ) from error
            if isinstance(error, ModelCallError) or attempt is None:
                raise
            return self._settled(attempt, error)
        return self._translated(attempt, reply)

    async def aclose(self) -> None:
        """Closes the connections of its transport. Never raises."""
        await self._wire.aclose()

    def _arguments(self, request: ModelRequest, deadline_seconds: float) -> dict[str, Any]:
        """Everything that litellm would otherwise look up in the environment is said here."""
        endpoint = self._endpoint
        key = self._keys.key_for(endpoint)
        if key is None and endpoint.base_url:
            key = "none"  # else litellm would send the key that the environment holds
        optional = {
            "tools": request.tools or None,
            "response_format": request.response_format,
            "api_key": key,
            "api_base": endpoint.base_url or _base_url(endpoint.provider),
        }
        return {
            **request.params,
            **{name: value for name, value in optional.items() if value is not None},
            "model": f"{endpoint.provider}/{endpoint.model}",
            "messages": [
                {"role": message.role, "content": message.content} for message in request.messages
            ],
            "stream": False,
            "timeout": deadline_seconds,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": False,
            "caching": False,
        }

    def _hosts(self) -> frozenset[str]:
        endpoint = self._endpoint
        if endpoint.base_url:
            parts = urlsplit(endpoint.base_url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            return frozenset({f"{(parts.hostname or '').lower()}:{port}"})
        known = HOSTED.get(endpoint.provider)
        if known is None:
            raise RequestRejected(
                f"the hosts of provider {endpoint.provider!r} are not known",
                hint=f"give model {endpoint.name!r} a base_url, so that its key has one place to go",
            )
        return frozenset(known.hosts)

    def _settled(self, attempt: Attempt, error: Exception) -> WireReply:
        """What the wire says about a call for which litellm raised; the wire knows better."""
        reply = attempt.reply
        if attempt.error is not None:
            raise attempt.error from error
        if reply is None:
            raise self._mapped(error) from error
        if not 200 <= reply.status < 300:
            raise self._classified(reply) from error
        document = parsed(reply.body)
        if "choices" in document or "error" in document:
            return read_reply(reply, keys=self._keys)
        raise MalformedReply(
            "the reply has no form that litellm can read", status=reply.status, possibly_paid=True
        ) from error

    def _translated(self, attempt: Attempt, answer: Any) -> WireReply:
        reply = attempt.reply
        if reply is None:
            raise MalformedReply("litellm answered without asking the provider")
        document = parsed(reply.body)
        if "choices" in document or "error" in document:
            return read_reply(reply, keys=self._keys)
        translated: dict[str, object] = answer.model_dump()
        _restore(translated, document)
        try:
            response = response_of(translated, reply.seconds)
        except ErrorInReply:
            raise self._classified(reply) from None
        return WireReply(
            response=without_keys(response, self._keys),
            hints=rate_hints(reply.headers, now=time.time()),
        )

    def _classified(self, reply: WireResponse) -> ModelCallError:
        return classify(
            reply.status, reply.headers, reply.body, now=time.time(), redact=self._keys.redact
        )

    def _mapped(self, error: Exception) -> ModelCallError:
        kind = kind_of(error)
        said = shown_text(str(error), self._keys.redact)
        return kind(f"litellm could not ask {self._endpoint.name!r}: {said}")


def kind_of(error: BaseException) -> type[ModelCallError]:
    """Our class for an exception of litellm: that of its nearest ancestor in :data:`ERROR_KINDS`."""
    for ancestor in type(error).__mro__:
        if ancestor.__name__ in ERROR_KINDS:
            return ERROR_KINDS[ancestor.__name__]
    return RequestRejected


def load_litellm() -> Any:
    """litellm, imported once, with its price map local, its telemetry off and its wire replaced.

    Raises:
        RequestRejected: It is not installed.
    """
    with _loading:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        os.environ["LITELLM_MODE"] = "PRODUCTION"  # else it loads .env of the working folder
        try:
            library = importlib.import_module("litellm")
        except ImportError as error:
            raise RequestRejected(
                "litellm is not installed, and this model is asked through it",
                hint="install evalrunner with the extra 'litellm', or use client: direct",
            ) from error
        if not isinstance(getattr(library, "aclient_session", None), _httpx().AsyncClient):
            _tame(library)
        return library


def _refuse_surrogates(arguments: Mapping[str, Any]) -> None:
    try:
        json.dumps([arguments["messages"], arguments.get("tools")], ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestRejected(
            f"litellm cannot send this request: {type(error).__name__}",
            hint="a lone surrogate in a prompt can be sent by client: direct only",
        ) from error


def _tame(library: Any) -> None:
    from evalrunner.adapters.litellm_wire import GuardedTransport  # imports httpx

    library.telemetry = False
    library.drop_params = False
    library.modify_params = False
    library.num_retries = 0
    library.cache = None
    library.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).disabled = True  # its debug lines hold whole requests
    transport = GuardedTransport()
    library.aclient_session = _httpx().AsyncClient(
        transport=transport, follow_redirects=False, trust_env=False, timeout=None
    )
    handler = importlib.import_module("litellm.llms.custom_httpx.http_handler").AsyncHTTPHandler
    for name in ("create_async_transport", "_create_async_transport"):
        setattr(handler, name, staticmethod(lambda *_, **__: transport))
    with suppress(AttributeError):
        library.in_memory_llm_clients_cache.flush_cache()


def _httpx() -> Any:
    return importlib.import_module("httpx")


def _begin(wire: Wire, ends_at: float, hosts: frozenset[str]) -> Attempt:
    from evalrunner.adapters.litellm_wire import Attempt, current_attempt  # imports httpx

    attempt = Attempt(wire=wire, ends_at=ends_at, hosts=hosts)
    current_attempt.set(attempt)
    return attempt


def _base_url(provider: str) -> str | None:
    known = HOSTED.get(provider)
    return known.base_url or None if known else None


def _restore(translated: dict[str, object], document: Mapping[str, object]) -> None:
    """Puts back what litellm smooths over: the provider's finish reason, and usage that it left out."""
    own = _own_finish_reason(document)
    choices = translated.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if own and isinstance(choice, dict) and choice.get("finish_reason") != "content_filter":
        choice["finish_reason"] = own
    if not any(name in document for name in ("usage", "usageMetadata", "meta")):
        translated["usage"] = None


def _own_finish_reason(document: Mapping[str, object]) -> str | None:
    own = document.get("stop_reason") or document.get("stopReason") or document.get("finish_reason")
    candidates = document.get("candidates")
    if not own and isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
        own = candidates[0].get("finishReason")
    return own if isinstance(own, str) else None
