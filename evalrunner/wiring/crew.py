"""Who asks: a lane with a client for every endpoint and application of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_wire import Wire
from evalrunner.engine.execution import Crew
from evalrunner.engine.lanes import Ask, Lane
from evalrunner.engine.ports import Clock, ModelClient, TargetClient, WireReply
from evalrunner.values.exchange import ModelRequest, Request, TargetRequest
from evalrunner.values.spec import Endpoint, Target


def hire(
    endpoints: Mapping[str, Endpoint],
    applications: Mapping[str, Target],
    *,
    root: Path,
    clock: Clock,
    keys: KeyRing,
    max_concurrency: int,
) -> Crew:
    """The lanes to all of them, those that are added later included.

    Nothing is started or imported before the first call of each.

    Args:
        endpoints: The models and applications that a case may ask, by name.
        applications: The user's applications by the name of their endpoint.
        root: The project's root, where applications run.
        clock: Tells the time.
        keys: Hands out keys.
        max_concurrency: Calls in flight on one lane.
    """
    wire = Wire()
    clients: list[ModelClient | TargetClient] = []

    def lane(name: str) -> Lane:
        endpoint = endpoints[name]
        ask: Ask
        if (target := applications.get(name)) is not None:
            from evalrunner.adapters.targets import target_client

            application = target_client(target, root=root)
            clients.append(application)
            ask = _asking_application(application)
        else:
            model = _model(endpoint, root=root, keys=keys, wire=wire)
            clients.append(model)
            ask = _asking_model(model)
        width = min(max_concurrency, _slots(endpoint) or max_concurrency)
        return Lane(endpoint, ask, clock=clock, max_concurrency=width)

    async def close() -> None:
        with suppress(Exception):  # nothing that fails on the way out may hide a result
            await asyncio.gather(*(client.aclose() for client in clients), return_exceptions=True)
            await wire.aclose()

    return Crew(lanes=_Lanes(lane), close=close)


class _Lanes(dict[str, Lane]):
    """Lanes by name, each made when it is first looked up."""

    def __init__(self, make: Callable[[str], Lane]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Lane:
        lane = self[name] = self._make(name)
        return lane


def _slots(endpoint: Endpoint) -> int | None:
    """How many calls a local server works on at once; a longer queue would eat up their deadlines."""
    if endpoint.client != "local":
        return None
    from evalrunner.adapters.models_local import local_slots

    return local_slots(endpoint)


def _model(endpoint: Endpoint, *, root: Path, keys: KeyRing, wire: Wire) -> ModelClient:
    if endpoint.client == "local":
        from evalrunner.adapters.models_local import LocalClient

        return LocalClient(endpoint, root=root)
    if endpoint.client == "litellm":
        from evalrunner.adapters.models_litellm import LitellmClient

        return LitellmClient(endpoint, wire=wire, keys=keys)
    from evalrunner.adapters.models_direct import DirectClient

    return DirectClient(endpoint, wire=wire, keys=keys)


def _asking_model(client: ModelClient) -> Ask:
    async def ask(request: Request, deadline_seconds: float) -> WireReply:
        assert isinstance(request, ModelRequest)  # a model's lane carries nothing else
        return await client.complete(request, deadline_seconds)

    return ask


def _asking_application(client: TargetClient) -> Ask:
    async def ask(request: Request, deadline_seconds: float) -> WireReply:
        assert isinstance(request, TargetRequest)  # as above
        return WireReply(response=await client.answer(request, deadline_seconds))

    return ask
