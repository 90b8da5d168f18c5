"""The values that no report may carry: the keys that this environment holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evalrunner.adapters.credentials import HOSTED
from evalrunner.values.project import SignConfig
from evalrunner.values.spec import Endpoint, Target

_OF_THE_CACHE = frozenset({SignConfig(public_keys=()).private_key_env, "EVALRUNNER_CACHE_PASSWORD"})


def secret_values(
    endpoints: Iterable[Endpoint], applications: Iterable[Target], environ: Mapping[str, str]
) -> frozenset[str]:
    """The values of every variable that holds a key of these, or of any provider that is known.

    Example:
        >>> sorted(secret_values([], [], {"OPENAI_API_KEY": " sk-1 ", "HOME": "/root"}))
        ['sk-1']
    """
    values = (environ.get(name, "").strip() for name in key_names(endpoints, applications))
    return frozenset(value for value in values if value)


def key_names(endpoints: Iterable[Endpoint], applications: Iterable[Target]) -> frozenset[str]:
    """The variables that hold keys: those that the user names, and the usual ones."""
    names = {known.key_env for known in HOSTED.values()} | _OF_THE_CACHE
    names |= {endpoint.api_key_env or "" for endpoint in endpoints}
    for target in applications:
        http = target.spec.get("http")
        if isinstance(http, Mapping):
            names.add(str(http.get("api_key_env") or ""))
    return frozenset(names - {""})
