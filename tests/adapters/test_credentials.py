"""A key goes to one host, and into no text."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from evalrunner.adapters.credentials import HOSTED, KeyRing, speaks_openai, without_secrets
from evalrunner.errors import CredentialsRejected
from evalrunner.values.spec import Endpoint

KEY = 'sk-"quoted"/+key=0123456789'


def endpoint(
    provider: str = "openai", base_url: str | None = None, api_key_env: str | None = None
) -> Endpoint:
    return Endpoint(
        name="m",
        provider=provider,
        model="x",
        identity="{}",
        base_url=base_url,
        api_key_env=api_key_env,
    )


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (endpoint(), "usual"),
        (endpoint(api_key_env="NAMED"), "named"),
        (endpoint(base_url="http://x/v1"), None),
        (endpoint(base_url="http://x/v1", api_key_env="NAMED"), "named"),
        (endpoint("ollama"), None),
        (endpoint("nobody-knows"), None),
    ],
)
def test_the_usual_key_is_never_given_to_a_base_url(asked: Endpoint, key: str | None) -> None:
    ring = KeyRing({"OPENAI_API_KEY": "usual\n", "NAMED": " named "})
    assert ring.key_for(asked) == key


@pytest.mark.parametrize("environ", [{}, {"NAMED": "  "}])
def test_a_missing_key_names_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(CredentialsRejected, match="'NAMED'") as caught:
        KeyRing(environ).key_for(endpoint(api_key_env="NAMED"))
    assert "export NAMED" in str(caught.value.hint)


@pytest.mark.parametrize(
    "spelled",
    [
        KEY,
        json.dumps(KEY),
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        f"Bearer {KEY}.",
    ],
)
def test_a_secret_is_redacted_however_it_is_spelled(spelled: str) -> None:
    text = KeyRing({"X_TOKEN": KEY, "PATH": "/bin"}).redact(f"a {spelled} b /bin")
    assert text.startswith("a ")
    assert text.endswith(" b /bin")
    assert "[redacted]" in text
    assert "0123456789" not in text


def test_a_released_key_is_redacted_even_if_its_name_looks_harmless() -> None:
    ring = KeyRing({"PLAIN": "short"})
    assert ring.redact("short") == "short"
    ring.key_for(endpoint(api_key_env="PLAIN"))
    assert ring.redact("short") == "[redacted]"
    assert "short" not in repr(ring)


def test_an_answer_loses_the_keys_that_were_sent_and_nothing_else() -> None:
    ring = KeyRing({"PLAIN": "not-needed", "WORD": "secret", "OTHER_TOKEN": KEY})
    assert ring.withhold(f"not-needed secret {KEY}") == f"not-needed secret {KEY}"
    ring.key_for(endpoint(api_key_env="PLAIN"))
    ring.key_for(endpoint(api_key_env="WORD"))
    encoded = base64.b64encode(b"not-needed").decode()
    assert ring.withhold(f"not-needed secret {KEY} {encoded}") == (
        f"[redacted] secret {KEY} [redacted]"
    )


def test_nothing_to_redact_changes_nothing() -> None:
    assert KeyRing({}).redact("text") == "text"


@pytest.mark.parametrize(
    ("asked", "direct"),
    [
        (endpoint("openai"), True),
        (endpoint("groq"), True),
        (endpoint("anthropic"), False),
        (endpoint("anthropic", base_url="http://x"), False),
        (endpoint("openai", base_url="http://x"), True),
        (endpoint("hosted_vllm", base_url="http://x"), True),
        (endpoint("hosted_vllm"), False),
    ],
)
def test_who_is_asked_without_litellm(asked: Endpoint, direct: bool) -> None:
    assert speaks_openai(asked) is direct


def test_each_known_address_is_a_host_of_its_provider() -> None:
    for provider, known in HOSTED.items():
        if known.base_url:
            assert any(f"//{host}" in known.base_url for host in known.hosts), provider
            assert known.base_url.startswith(("https://", "http://localhost:")), provider


def test_a_child_gets_no_secret() -> None:
    environ = {"A_KEY": "1", "B_TOKEN": "2", "C_SECRET": "3", "D_PASSWORD": "4", "HOME": "5"}
    assert without_secrets(environ, allowed=["B_TOKEN"]) == {"B_TOKEN": "2", "HOME": "5"}
