"""The store's name is the same, whoever reads it."""

from __future__ import annotations

import pytest

from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import server_address
from evalrunner.adapters.server_identity import hash_key, identity_of_server
from evalrunner.adapters.server_name import quick_name
from evalrunner.values.fingerprint import digest
from tests.servers import Server

HASH = hash_key("ci")


@pytest.mark.parametrize("database", ["", "/0", "/3"])
def test_all_readers_agree(server: Server, database: str) -> None:
    url = server.url + database
    assert quick_name(url, HASH, {}) == identity_of_server(url, HASH) == ""
    store = RedisStore(server_address(url), seal=Seal("ci"))
    store.put_many({digest(1): b"x"})
    name = store.identity()
    store.close()
    assert len(name) == 32
    assert quick_name(url, HASH, {}) == identity_of_server(url, HASH) == name
    assert quick_name(url, hash_key("other"), {}) == ""


def test_a_password_is_given_where_it_is_asked_for(server: Server) -> None:
    store = RedisStore(server_address(server.url), seal=Seal("ci"))
    store.put_many({digest(1): b"x"})
    name = store.identity()
    store.close()
    server.command("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+hmget")
    place = server.url.removeprefix("redis://")
    try:
        assert quick_name(f"redis://ann@{place}", HASH, {"EVALRUNNER_CACHE_PASSWORD": "pw"}) == name
        assert quick_name(f"redis://ann:pw@{place}", HASH, {}) == name
        assert quick_name(f"redis://ann:no@{place}", HASH, {}) == ""
    finally:
        server.command("ACL", "DELUSER", "ann")


@pytest.mark.parametrize(
    "url",
    ["rediss://127.0.0.1", "redis://cache.internal", "redis://[::1]", "redis://a:%20@127.0.0.1"],
)
def test_what_needs_more_is_left_to_the_whole_client(url: str) -> None:
    assert quick_name(url, HASH, {}) is None


def test_nobody_there_has_no_name() -> None:
    assert quick_name("redis://127.0.0.1:1", HASH, {}) == ""
