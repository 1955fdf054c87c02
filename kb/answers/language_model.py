"""The language model of answers, through the library llm: where it is, and what it writes within limits.

llm is imported only here, and only when a model is asked for.
"""

from __future__ import annotations

import copy
import ipaddress
import os
import queue
import re
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kb.errors import AnswerError, Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kb.records import Prompt

# How often is looked whether to stop, in seconds.
_LOOK: Final = 0.1
# A token is rarely longer than this, in characters; an answer that is longer than its tokens allow is cut off.
_TOKEN_CHARS: Final = 12
_SILENCE: Final = 120.0
_OPENAI: Final = "api.openai.com"
_OLLAMA: Final = "127.0.0.1:11434"
_THIS_MACHINE: Final = "this machine"
_ITS_LOG: Final = "See the log of its server"
_REDIRECTED: Final = "Set answer.endpoint to the address that it redirects to"
# What to do about an answer with one of these statuses of HTTP.
_REMEDIES: Final = {
    404: "Set answer.model to one that it has, and answer.endpoint to its address, which mostly ends with /v1",
    429: "Ask again later",
}
_ERROR_NUMBER: Final = re.compile(r"^\[Errno -?\d+\] ")


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How long a model may write.

    Attributes:
        until: When it has to end, in seconds of ``time.monotonic``.
        tokens: The most tokens.
        should_stop: Whether the user gave up.
    """

    until: float
    tokens: int
    should_stop: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote.

    Attributes:
        text: Its text, which is not empty.
        is_cut: Whether its server says that it ended because it may write no more tokens.
    """

    text: str
    is_cut: bool = False


class LanguageModel:
    """A model of llm, and the host that it is asked at.

    Args:
        model: The model of llm.
        name: Its name, as configured.
        host: The host, or ``this machine``.
    """

    def __init__(self, model: Any, name: str, host: str) -> None:  # noqa: ANN401 - llm is imported only where it is used
        self._model = model
        self.name = name
        self.host = host

    def write(self, prompt: Prompt, schema: Mapping[str, Any], limits: AnswerLimits) -> Written:
        """Return what the model writes.

        Args:
            prompt: The two messages.
            schema: The JSON schema of the answer, for models that keep to one.
            limits: How long it may write.

        Raises:
            AnswerError: It cannot be reached, writes nothing, stops amid its answer, or does not end within the limits.
            Cancelled: The user gave up.
        """
        chunks: queue.SimpleQueue[str | Exception | _End] = queue.SimpleQueue()
        given_up = threading.Event()
        # Its client is closed with this answer, so that a server does not go on writing one that nobody reads.
        model = copy.copy(self._model)

        def work() -> None:
            try:
                response = _response(model, prompt, schema, limits.tokens)
                for chunk in response:
                    if given_up.is_set():
                        return
                    chunks.put(chunk)
                chunks.put(_End(_is_cut(response)))
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and each is a reason
                chunks.put(error)
            finally:
                getattr(model, "close_client", lambda: None)()

        # A thread of its own, since a server that does not answer cannot be interrupted otherwise.
        threading.Thread(target=work, name="language model", daemon=True).start()
        try:
            return self._collected(chunks, limits)
        finally:
            given_up.set()

    def _collected(self, chunks: queue.SimpleQueue[str | Exception | _End], limits: AnswerLimits) -> Written:
        text = ""
        while True:
            if limits.should_stop():
                raise Cancelled(f"{self.name} was not waited for", "Ask again")
            if time.monotonic() >= limits.until:
                raise AnswerError(
                    f"{self.name} did not answer in time ({self.host})",
                    "Ask a faster model, or set answer.seconds higher",
                )
            try:
                chunk = chunks.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if isinstance(chunk, _End):
                self._require_text(text, is_cut=chunk.is_cut)
                return Written(text, chunk.is_cut)
            if isinstance(chunk, Exception):
                raise AnswerError(*self._reason(chunk, begun=bool(text))) from chunk
            text += chunk
            if len(text) > limits.tokens * _TOKEN_CHARS:
                raise AnswerError(
                    f"{self.name} does not end its answer ({self.host})", "Ask another model: kb ask --model MODEL"
                )

    def _require_text(self, text: str, *, is_cut: bool) -> None:
        """Refuse an answer without text: of a page that is no model's, or of a model that only thought.

        Raises:
            AnswerError: There is none.
        """
        if text.strip():
            return
        raise AnswerError(
            f"{self.name} wrote nothing ({self.host})",
            "Set answer.max_tokens higher, as it thinks before it answers"
            if is_cut
            else "Check answer.endpoint: the address of an OpenAI-compatible server mostly ends with /v1",
        )

    def _reason(self, error: Exception, *, begun: bool) -> tuple[str, str]:
        """Return what went wrong in one sentence, and the remedy."""
        import llm

        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        lines = (str(cause) or str(error) or type(error).__name__).strip().splitlines()
        reason = _ERROR_NUMBER.sub("", lines[0]).rstrip(".")[:200]
        if begun:
            return f"{self.name} stopped amid its answer ({self.host}): {reason}", "Ask again"
        if isinstance(error, llm.NeedsKeyException):
            return f"{self.name} at {self.host} needs a key", self._key_remedy()
        remedy = self._remedy(getattr(error, "status_code", None), is_reached=not _has_system_error(error))
        return f"{self.name} cannot be asked at {self.host}: {reason}", remedy

    def _remedy(self, status: int | None, *, is_reached: bool) -> str:
        """Return what to do about an answer with a status of HTTP, or about none at all."""
        if status in {401, 403}:
            return self._key_remedy()
        if status is not None:
            return _REMEDIES.get(status, _REDIRECTED if status < HTTPStatus.BAD_REQUEST else _ITS_LOG)
        start = _ITS_LOG if is_reached else "Start its server"
        return f"{start}, or set answer.endpoint and answer.model to one that runs"

    def _key_remedy(self) -> str:
        """Return how to store the key that the model is asked with."""
        name = getattr(self._model, "needs_key", None) or urlsplit(f"//{self.host}").hostname or self.host
        return f"Store a key that it takes: llm keys set {name}"


def _response(model: Any, prompt: Prompt, schema: Mapping[str, Any], tokens: int) -> Any:  # noqa: ANN401 - see above
    """Return the response of a model of llm, which yields text as it comes."""
    known = getattr(model.Options, "model_fields", {})
    options = {"temperature": 0.0, "max_tokens": tokens}
    extra = {"schema": dict(schema)} if getattr(model, "supports_schema", False) else {}
    return model.prompt(
        prompt.user,
        system=prompt.system,
        stream=bool(getattr(model, "can_stream", False)),
        options={name: value for name, value in options.items() if name in known},
        **extra,
    )


@dataclass(frozen=True, slots=True)
class _End:
    """That a model ended, and whether it may write no more tokens."""

    is_cut: bool


def _has_system_error(error: BaseException) -> bool:
    """Whether an error of the system, such as a connection that was refused, is behind an error of a library."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, OSError):
        behind = behind.__cause__ or behind.__context__
    return behind is not None


def _is_cut(response: Any) -> bool:  # noqa: ANN401 - see above
    """Whether a response of llm ended because of its limit of tokens, as far as its model tells."""
    told = getattr(response, "response_json", None)
    return isinstance(told, dict) and told.get("finish_reason") == "length"


def open_model(
    name: str, endpoint: str, *, offline: bool, seconds: float = _SILENCE, environ: Mapping[str, str] = os.environ
) -> LanguageModel:
    """Return a language model, once it is known where the text of passages would go.

    Args:
        name: The name that llm or the endpoint knows it by.
        endpoint: ``answer.endpoint``: the address of an OpenAI-compatible server, or the host that is allowed; empty
            where the model is on this machine.
        offline: Whether only this machine may be asked.
        seconds: How long an OpenAI-compatible server may be silent, after which the connection is closed.
        environ: The environment, in which Ollama's server may be named.

    Raises:
        AnswerError: llm is not installed, does not know the model, or the text would leave the machine without leave.
    """
    try:
        import llm
    except ImportError as error:
        raise AnswerError(
            "answers of a language model need the library llm", "Install it: pip install 'localkb[answer]'"
        ) from error
    if "://" in endpoint:
        host = _host_of(endpoint)
        _require_leave(name, host, host, offline=offline)
        return LanguageModel(_endpoint_model(name, endpoint, host, seconds), name, host)
    try:
        model = llm.get_model(name)
    except llm.UnknownModelError as error:
        raise AnswerError(
            f"llm knows no model {name}",
            "See llm models for those it knows, or set answer.endpoint to the address of a server that has it",
        ) from error
    host = _destination(model, environ) or endpoint
    if not host:
        raise AnswerError(
            f"kb cannot tell where {name} sends the text of your notes",
            "Set answer.endpoint to its host, or to localhost if it runs on this machine",
        )
    _require_leave(name, host, endpoint, offline=offline)
    base = getattr(model, "api_base", None)
    if base:
        served = getattr(model, "model_name", None) or name
        return LanguageModel(_endpoint_model(served, base, host, seconds), name, host)
    return LanguageModel(model, name, _THIS_MACHINE if host == "localhost" else host)


def _host_of(address: str) -> str:
    """Return host and port of an address.

    Raises:
        AnswerError: It is none.
    """
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise AnswerError(f"answer.endpoint is no address: {address}", "Write it as in http://127.0.0.1:8080/v1")
    return f"[{host}]{port}" if ":" in host else f"{host}{port}"


def _destination(model: Any, environ: Mapping[str, str]) -> str:  # noqa: ANN401 - a model of any plugin
    """Return the host that a model of llm is asked at; empty where that cannot be told."""
    base = getattr(model, "api_base", None)
    if base:
        return _host_of(str(base))
    plugin = type(model).__module__.partition(".")[0]
    if plugin == "llm":
        return _OPENAI
    if plugin == "llm_ollama":
        address = environ.get("OLLAMA_HOST") or _OLLAMA
        return _host_of(address if "://" in address else f"http://{address}")
    return ""


def is_this_machine(host: str) -> bool:
    """Whether a host, with or without a port, is a loopback address. Names are not looked up."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _require_leave(name: str, host: str, named: str, *, offline: bool) -> None:
    """Refuse a host that is not this machine, unless the configuration names it and allows it.

    Raises:
        AnswerError: It does not.
    """
    if is_this_machine(host):
        return
    bare = urlsplit(f"//{host}").hostname
    if bare != urlsplit(f"//{named}").hostname:
        raise AnswerError(
            f"{name} would send passages of your files to {host}, which the configuration does not name",
            f'If you want that, set answer.endpoint = "{host}" and answer.offline = false',
        )
    if offline:
        raise AnswerError(
            f"{name} would send passages of your files to {host}, and answer.offline is true",
            "If you want that, set answer.offline = false",
        )


def _endpoint_model(name: str, address: str, host: str, seconds: float) -> Any:  # noqa: ANN401 - see above
    """Return a model of llm for an OpenAI-compatible server.

    A key for it is one that ``llm keys set HOST`` stored. What goes to this machine goes past any proxy, and nothing
    follows a redirection to another host.
    """
    import llm
    import openai
    from llm.default_plugins.openai_models import Chat

    class Endpoint(Chat):
        client: openai.OpenAI | None = None

        def get_client(self, key: str | None, *, async_: bool = False) -> Any:  # noqa: ANN401, ARG002 - of openai
            stored = llm.get_key(alias=urlsplit(f"//{host}").hostname)
            self.client = openai.OpenAI(
                base_url=address,
                api_key=stored or "none",
                http_client=openai.DefaultHttpxClient(trust_env=not is_this_machine(host), follow_redirects=False),
                timeout=seconds,
                # A second try would have the server answer after the user has been told that it did not.
                max_retries=0,
            )
            return self.client

        def close_client(self) -> None:
            if self.client is not None:
                self.client.close()

    made: Any = Endpoint
    found = made(name, model_name=name, api_base=address, supports_schema=True)
    # Else llm would ask for the key of OpenAI, and send it.
    found.needs_key = None
    return found
