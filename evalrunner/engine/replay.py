"""What the store already knows: every case driven as far as kept answers reach, without a call.

This is the plan's exact half, the whole of a frozen run and of a warm one, and the first step of
every other. It needs no event loop and reads the store in bulk: one look-up for each step that the
flows of a block take together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase, case_flow
from evalrunner.engine.normalized import Likeness, pointed_at, pointer
from evalrunner.engine.ports import CacheStore
from evalrunner.engine.stays_here import stays_here
from evalrunner.engine.stored import response_from_bytes
from evalrunner.errors import ModelCallError, NotAsked
from evalrunner.values.exchange import (
    CallRecord,
    Flow,
    ModelResponse,
    Reply,
    Request,
    TargetRequest,
)
from evalrunner.values.fingerprint import Fingerprint, fingerprint
from evalrunner.values.result import CaseResult

BLOCK = 1000
"""Cases whose requests are looked up together."""


@dataclass(slots=True)
class OpenCase:
    """A case that waits for an answer which the store does not have.

    Attributes:
        kept: The accounts of the answers that the store had for it.
    """

    index: int
    case: EvalCase
    flow: Flow[CaseResult]
    request: Request
    key: Fingerprint
    kept: list[CallRecord] = field(default_factory=list)

    def send(self, reply: Reply) -> CaseResult | None:
        """Answers the waiting request; the result if that was the last."""
        try:
            self._wait_for(self.flow.send(reply))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # a flow returns its CaseResult
        return None

    def throw(self, error: ModelCallError | NotAsked) -> CaseResult | None:
        """Fails the waiting request; the result if that was the last."""
        try:
            self._wait_for(self.flow.throw(error))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # a flow returns its CaseResult
        return None

    def _wait_for(self, request: Request) -> None:
        self.request = request
        self.key = fingerprint(request)


@dataclass(slots=True)
class Replay:
    """Cases that ended on kept answers, by their index, and those that wait for one."""

    finished: dict[int, CaseResult] = field(default_factory=dict)
    open: list[OpenCase] = field(default_factory=list)


class StoreReader:
    """Reads answers in bulk and says what each is worth.

    Args:
        store: Where answers are kept; without one (``--no-cache``) nothing is found.
        accounts: Prices answers.
        stored_after: The bound on their age, in seconds since 1970.
        again: The roles that are asked again whatever is kept: ``subject`` and ``confirm`` for
            ``--recache``, ``judge`` for ``--rejudge``. A verdict on a text that came out the same is
            thus kept.
        private: Where answers are kept that may not leave this machine; by default with the others.
        likeness: Which questions count as one; ``None``: those that are the same to the letter.
    """

    def __init__(
        self,
        store: CacheStore | None,
        accounts: Accounts,
        *,
        stored_after: float | None = None,
        again: Collection[str] = (),
        private: CacheStore | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        self._store = store
        self._private = private
        self._accounts = accounts
        self._stored_after = stored_after
        self._again = frozenset(again)
        self._likeness = likeness
        self._alike: set[Fingerprint] = set()
        self.expired: set[Fingerprint] = set()
        """The keys that were looked up and whose entries were too old."""

    def find(self, waiting: Sequence[tuple[Request, Fingerprint]]) -> list[Reply | None]:
        """For each request the reply that is kept, or ``None``."""
        return self.replies(waiting, self.bodies(waiting))

    def bodies(self, waiting: Sequence[tuple[Request, Fingerprint]]) -> dict[Fingerprint, bytes]:
        """What is kept for these requests; the only part that waits for a store."""
        wanted = {key: request for request, key in waiting if self.may_answer(request)}
        found = self._kept(wanted, self._stored_after)
        if self._stored_after is not None and len(found) < len(wanted):
            missing = {key: wanted[key] for key in wanted.keys() - found.keys()}
            self.expired.update(self._kept(missing, None))
        if self._likeness is not None and len(found) < len(waiting):
            rest = [(request, key) for request, key in waiting if key not in found]
            found |= self._found_alike(self._likeness, rest)
        return found

    def _found_alike(
        self, likeness: Likeness, waiting: Sequence[tuple[Request, Fingerprint]]
    ) -> dict[Fingerprint, bytes]:
        """Answers to questions that are alike; of the others it is noted under which key they will lie."""
        normal = likeness.keys(waiting)
        requests = {key: request for request, key in waiting if key in normal}
        asked = {normal[key]: one for key, one in requests.items() if self.may_answer(one)}
        exact = {
            key: named
            for key, body in self._kept(asked, self._stored_after).items()
            if (named := pointed_at(body)) is not None
        }
        wanted = {exact[normal[key]]: one for key, one in requests.items() if normal[key] in exact}
        bodies = self._kept(wanted, self._stored_after)
        found = {
            key: bodies[exact[normal[key]]] for key in requests if exact.get(normal[key]) in bodies
        }
        self._alike.update(found)
        self._note({normal[key]: key for key in requests if key not in found}, requests)
        return found

    def _note(
        self,
        pointers: Mapping[Fingerprint, Fingerprint],
        requests: Mapping[Fingerprint, Request],
    ) -> None:
        for store, here in ((self._private or self._store, True), (self._store, False)):
            bodies = {
                normal: pointer(key)
                for normal, key in pointers.items()
                if stays_here(requests[key]) is here
            }
            if store is not None and bodies:
                store.put_many(bodies)

    def _kept(
        self, wanted: Mapping[Fingerprint, Request], stored_after: float | None
    ) -> dict[Fingerprint, bytes]:
        if self._store is None:
            return {}
        if self._private is None:
            return self._store.get_many(list(wanted), stored_after=stored_after)
        here = [key for key, request in wanted.items() if stays_here(request)]
        shared = list(wanted.keys() - set(here)) if here else list(wanted)
        found = self._store.get_many(shared, stored_after=stored_after)
        return found | self._private.get_many(here, stored_after=stored_after)

    def replies(
        self,
        waiting: Sequence[tuple[Request, Fingerprint]],
        bodies: Mapping[Fingerprint, bytes],
    ) -> list[Reply | None]:
        """For each request the reply that the bodies hold, or ``None``."""
        answers = {key: response_from_bytes(body) for key, body in bodies.items()}
        return [self._reply(request, key, answers.get(key)) for request, key in waiting]

    def may_answer(self, request: Request) -> bool:
        """Whether an answer that somebody has paid for may be used for this request."""
        return _may_be_kept(request) and request.role not in self._again

    def _reply(
        self, request: Request, key: Fingerprint, response: ModelResponse | None
    ) -> Reply | None:
        if response is None:
            return None
        record: CallRecord = self._accounts.hit(request, key, response)
        if key in self._alike:
            record = replace(record, normalized=True)
        return Reply(response=response, record=record)


def replay(cases: Iterable[EvalCase], reader: StoreReader) -> Replay:
    """Drives every case until it ends or asks for something that is not kept."""
    result = Replay()
    numbered = enumerate(cases)
    while block := list(islice(numbered, BLOCK)):
        _replay_block(block, reader, result)
    return result


def _replay_block(
    block: Sequence[tuple[int, EvalCase]], reader: StoreReader, result: Replay
) -> None:
    waiting = list(_started(block))
    while waiting:
        replies = reader.find([(case.request, case.key) for case in waiting])
        advanced: list[OpenCase] = []
        for case, reply in zip(waiting, replies, strict=True):
            if reply is None:
                result.open.append(case)
            elif (end := case.send(reply)) is not None:
                result.finished[case.index] = end
            else:
                case.kept.append(reply.record)
                advanced.append(case)
        waiting = advanced


def _started(block: Sequence[tuple[int, EvalCase]]) -> Iterator[OpenCase]:
    for index, case in block:
        flow = case_flow(case)
        request = next(flow)  # every case asks for an answer before it can end
        yield OpenCase(index, case, flow, request, fingerprint(request))


def _may_be_kept(request: Request) -> bool:
    return not isinstance(request, TargetRequest) or request.cacheable
