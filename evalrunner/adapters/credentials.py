"""Keys: which variable holds one, which host may see it, and that no text ever shows it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import quote

from evalrunner.errors import CredentialsRejected
from evalrunner.values.dataclass import dataclass
from evalrunner.values.spec import Endpoint


@dataclass(frozen=True, slots=True)
class Hosted:
    """A provider that everybody reaches at the same place.

    Attributes:
        key_env: The variable in which its key usually stands; empty where it needs none.
        base_url: Where it speaks the OpenAI wire format; empty where it does not.
        hosts: The hosts, or domains of hosts, that its key may go to.
    """

    key_env: str
    base_url: str = ""
    hosts: tuple[str, ...] = ()


HOSTED: Final[Mapping[str, Hosted]] = {
    "openai": Hosted("OPENAI_API_KEY", "https://api.openai.com/v1", ("api.openai.com",)),
    "anthropic": Hosted("ANTHROPIC_API_KEY", hosts=("api.anthropic.com",)),
    "azure": Hosted("AZURE_API_KEY", hosts=("openai.azure.com", "cognitiveservices.azure.com")),
    "azure_ai": Hosted("AZURE_AI_API_KEY", hosts=("models.ai.azure.com", "services.ai.azure.com")),
    "bedrock": Hosted("", hosts=("amazonaws.com",)),
    "cerebras": Hosted("CEREBRAS_API_KEY", "https://api.cerebras.ai/v1", ("api.cerebras.ai",)),
    "cohere": Hosted("COHERE_API_KEY", hosts=("api.cohere.com", "api.cohere.ai")),
    "cohere_chat": Hosted("COHERE_API_KEY", hosts=("api.cohere.com", "api.cohere.ai")),
    "dashscope": Hosted("DASHSCOPE_API_KEY", hosts=("aliyuncs.com",)),
    "deepinfra": Hosted(
        "DEEPINFRA_API_KEY", "https://api.deepinfra.com/v1/openai", ("api.deepinfra.com",)
    ),
    "deepseek": Hosted("DEEPSEEK_API_KEY", "https://api.deepseek.com/v1", ("api.deepseek.com",)),
    "fireworks_ai": Hosted(
        "FIREWORKS_API_KEY", "https://api.fireworks.ai/inference/v1", ("api.fireworks.ai",)
    ),
    "gemini": Hosted("GEMINI_API_KEY", hosts=("generativelanguage.googleapis.com",)),
    "groq": Hosted("GROQ_API_KEY", "https://api.groq.com/openai/v1", ("api.groq.com",)),
    "huggingface": Hosted("HF_TOKEN", hosts=("huggingface.co",)),
    "mistral": Hosted("MISTRAL_API_KEY", "https://api.mistral.ai/v1", ("api.mistral.ai",)),
    "moonshot": Hosted("MOONSHOT_API_KEY", "https://api.moonshot.ai/v1", ("api.moonshot.ai",)),
    "nvidia_nim": Hosted(
        "NVIDIA_NIM_API_KEY", "https://integrate.api.nvidia.com/v1", ("integrate.api.nvidia.com",)
    ),
    "ollama": Hosted("", "http://localhost:11434/v1", ("localhost",)),
    "ollama_chat": Hosted("", "http://localhost:11434/v1", ("localhost",)),
    "openrouter": Hosted("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1", ("openrouter.ai",)),
    "perplexity": Hosted(
        "PERPLEXITYAI_API_KEY", "https://api.perplexity.ai", ("api.perplexity.ai",)
    ),
    "together_ai": Hosted(
        "TOGETHERAI_API_KEY", "https://api.together.xyz/v1", ("api.together.xyz",)
    ),
    "vertex_ai": Hosted("", hosts=("googleapis.com",)),
    "watsonx": Hosted("WATSONX_API_KEY", hosts=("cloud.ibm.com",)),
    "xai": Hosted("XAI_API_KEY", "https://api.x.ai/v1", ("api.x.ai",)),
}
"""The providers whose hosts are known here; any other needs a ``base_url``."""

_SECRET_NAME: Final = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8


def speaks_openai(endpoint: Endpoint) -> bool:
    """Whether the lean direct client can ask this endpoint, so that litellm is not needed."""
    known = HOSTED.get(endpoint.provider)
    if endpoint.base_url:
        return known is None or bool(known.base_url)
    return known is not None and bool(known.base_url)


def provider_of(host: str) -> str | None:
    """The provider whose own host that is; ``None`` where it is nobody's that is known here.

    Example:
        >>> (
        ...     provider_of("api.openai.com"),
        ...     provider_of("localhost"),
        ...     provider_of("api.openai.com.test"),
        ... )
        ('openai', None, None)
    """
    for name, known in HOSTED.items():
        is_here = known.base_url.startswith("http:")  # a server on this machine is somebody's own
        if not is_here and any(host == one or host.endswith(f".{one}") for one in known.hosts):
            return name
    return None


class KeyRing:
    """The keys of one environment. It hands them out by endpoint, and takes them out of texts.

    Args:
        environ: The variables; those of the process by default.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._released: set[str] = set()
        self._sent_spellings: tuple[str, ...] = ()  # the longest first
        self._pattern: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return "KeyRing(…)"

    def key_for(self, endpoint: Endpoint) -> str | None:
        """The endpoint's key, or ``None`` where it needs none.

        It is the variable that ``api_key_env`` names; without that name, the provider's usual one, but
        only where the provider's own host is asked: a ``base_url`` alone is never given a key.

        Raises:
            CredentialsRejected: A key is needed, and its variable is not set.
        """
        name = endpoint.api_key_env or self._usual_variable(endpoint)
        if not name:
            return None
        key = self._environ.get(name, "").strip()
        if not key:
            raise CredentialsRejected(
                f"the variable {name!r} with the key of model {endpoint.name!r} is not set",
                hint=f"export {name}=…, or put it into the file that --env-file names",
            )
        self.release(key)
        return key

    def release(self, key: str) -> None:
        """Remembers a key that is about to be sent, so that it is taken out of what comes back."""
        if key in self._released:
            return
        self._released.add(key)
        self._pattern = None
        if len(key) >= _SHORTEST_SECRET:
            known = {*self._sent_spellings, *_spellings(key)}
            self._sent_spellings = tuple(sorted(known, key=len, reverse=True))

    @property
    def handed_out(self) -> bool:
        """Whether any key was, that an answer could say back."""
        return bool(self._sent_spellings)

    def withhold(self, text: str) -> str:
        """The text of an answer without any key that was handed out, in plain or encoded form.

        It takes out less than :meth:`redact`: an answer must not depend on the rest of the environment,
        nor lose a word that a server which wants no key was given as one.
        """
        for form in self._sent_spellings:
            text = text.replace(form, "[redacted]")
        return text

    def redact(self, text: str) -> str:
        """The text without any secret of the environment, in plain or encoded form."""
        if self._pattern is None:
            self._pattern = self._secrets_pattern()
        return self._pattern.sub("[redacted]", text)

    @staticmethod
    def _usual_variable(endpoint: Endpoint) -> str | None:
        known = HOSTED.get(endpoint.provider)
        return known.key_env if known and not endpoint.base_url else None

    def _secrets_pattern(self) -> re.Pattern[str]:
        named = {
            value.strip() for name, value in self._environ.items() if _SECRET_NAME.search(name)
        }
        secrets = self._released | {value for value in named if len(value) >= _SHORTEST_SECRET}
        spellings = {form for secret in secrets for form in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def without_secrets(environ: Mapping[str, str], *, allowed: Collection[str] = ()) -> dict[str, str]:
    """An environment for a child: without the variables that look like keys, but those allowed.

    Example:
        >>> without_secrets({"PATH": "/bin", "OPENAI_API_KEY": "sk"})
        {'PATH': '/bin'}
    """
    return {
        name: value
        for name, value in environ.items()
        if name in allowed or not _SECRET_NAME.search(name)
    }


def _spellings(secret: str) -> set[str]:
    """A secret as texts may carry it: plain, in JSON, in a URL, in base64."""
    raw = secret.encode("utf-8", "surrogateescape")
    encoded = base64.b64encode(raw).decode("ascii")
    return {
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe="", errors="replace"),
        encoded,
        encoded.rstrip("="),
        base64.urlsafe_b64encode(raw).decode("ascii").rstrip("="),
    }
