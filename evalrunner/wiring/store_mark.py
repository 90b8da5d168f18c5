"""How the store that a record speaks of is found again, to see that it is still the same."""

from __future__ import annotations

import os

from evalrunner.adapters.store_identity import identity_of_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalrunner.values.project import Project

URL_VARIABLE = "EVALRUNNER_CACHE_URL"
ORDINARY_DISK = ""
FROM_ENVIRONMENT = "environment"


def mark_of(project: Project, environ: Mapping[str, str]) -> str | None:
    """Where the project's one store is, without any password; ``None`` where no record can speak of it.

    That is where there are several, where they are signed (a record is not), or where the configuration
    holds a password, which belongs into no further file.
    """
    cache = project.cache
    if cache.stores or cache.sign:
        return None
    if environ.get(URL_VARIABLE):
        return FROM_ENVIRONMENT
    if cache.url == "disk:":
        return ORDINARY_DISK
    is_server = cache.url.startswith(("redis:", "rediss:"))
    has_password = ":" in cache.url.partition("//")[2].rpartition("@")[0]
    return cache.url if is_server and not has_password else None


def hash_of(project: Project, mark: str) -> str:
    """The hash on a server that holds the project's entries; ``""`` where a file does."""
    if mark == ORDINARY_DISK:
        return ""
    from evalrunner.adapters.server_identity import hash_key

    return hash_key(project.cache.namespace or "default")


def identity_of(project: Project, mark: str, folder: str, environ: Mapping[str, str]) -> str:
    """The identity of the project's store now; *folder* is that of the ordinary disk store."""
    return identity_at(mark, hash_of(project, mark), folder, environ)


def identity_at(mark: str, hash_name: str, folder: str, environ: Mapping[str, str]) -> str:
    """The same from what a record knows."""
    url = environ.get(URL_VARIABLE, "")
    if mark == ORDINARY_DISK:
        return "" if url else identity_of_file(os.path.join(folder, "cache.db"))
    if mark == FROM_ENVIRONMENT:
        mark = url
    if not mark.startswith(("redis:", "rediss:")):
        return ""
    # Only here, since most stores are files; and the second only where the first is not enough.
    from evalrunner.adapters.server_name import quick_name

    name = quick_name(mark, hash_name, environ)
    if name is not None:
        return name
    from evalrunner.adapters.server_identity import identity_of_server

    return identity_of_server(mark, hash_name)
