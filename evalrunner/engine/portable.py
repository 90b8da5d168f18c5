"""Requests and replies as JSON, for a process that asks the executor of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, cast

from evalrunner import errors
from evalrunner.engine.stored import response_from_bytes, response_to_bytes
from evalrunner.errors import EvalRunnerError, ModelCallError, NotAsked
from evalrunner.values.exchange import CallRecord, Message, ModelRequest, Reply, Tier

JsonObject = dict[str, Any]

_REQUEST: Final = tuple(field.name for field in fields(ModelRequest))
_RECORD: Final = tuple(field.name for field in fields(CallRecord))


def request_to_json(request: ModelRequest) -> JsonObject:
    """Every field of a request.

    Example:
        >>> asked = ModelRequest(model="m", messages=(), params={"max_tokens": 5}, endpoint="small")
        >>> request_from_json(request_to_json(asked)) == asked
        True
    """
    found: JsonObject = {name: getattr(request, name) for name in _REQUEST}
    found["messages"] = [[message.role, message.content] for message in request.messages]
    return found


def request_from_json(document: Mapping[str, Any]) -> ModelRequest:
    """The request again."""
    found = dict(document)
    found["messages"] = tuple(
        Message(role=role, content=content)
        for role, content in cast("Sequence[tuple[str, Any]]", document["messages"])
    )
    found["tier"] = Tier(document["tier"])
    return ModelRequest(**found)


def reply_to_json(reply: Reply) -> JsonObject:
    """A reply: the answer as stores keep it, and the account of it."""
    return {
        "response": response_to_bytes(reply.response).decode(),
        "record": {name: getattr(reply.record, name) for name in _RECORD},
    }


def reply_from_json(document: Mapping[str, Any]) -> Reply:
    """The reply again."""
    response = response_from_bytes(document["response"].encode())
    assert response is not None  # it was one when it was sent
    return Reply(response=response, record=CallRecord(**document["record"]))


def error_to_json(error: EvalRunnerError) -> JsonObject:
    """An error by its name: what happened, and the next thing to type."""
    return {"kind": type(error).__name__, "message": error.message, "hint": error.hint}


def error_from_json(document: Mapping[str, Any]) -> EvalRunnerError:
    """An error of the same name, or of the nearest base that takes a message.

    Example:
        >>> error_from_json({"kind": "FrozenMiss", "message": "no answer", "hint": None})
        FrozenMiss('no answer')
    """
    kind = getattr(errors, document["kind"], EvalRunnerError)
    if not issubclass(kind, ModelCallError | NotAsked):
        kind = EvalRunnerError
    error: EvalRunnerError = kind(document["message"], hint=document["hint"])
    return error
