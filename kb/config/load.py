"""Loads the configuration: the file, overridden by the environment and flags, all checked before anything is used."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kb.config.find import look_for, read_config
from kb.config.schema import Config, Field, fields, sections
from kb.config.settings import TYPED, Settings
from kb.config.trust import require_owned, require_trust
from kb.errors import ConfigError
from kb.location import environment_values, joined
from kb.urls import is_this_machine, parse_url, tunnel

if TYPE_CHECKING:
    from collections.abc import Mapping

# Keys of paths. Relative ones start at the folder of the file, or at the current folder if typed.
_PATH_KEYS: Final = frozenset({"store.path", "store.headers_file", "folders.paths"})
# What the patterns of kb.config.schema mean.
_SHAPES: Final = {
    "documents.ocr_languages": "languages by Tesseract's names, joined by a plus: eng, deu+eng",
    "store.collection": "3 to 512 letters, digits, dots, dashes or underscores, a letter or digit first and last",
    "note.folder": "a folder below the first one of folders.paths, written from there: journal/%Y",
    "serve.http": "a port, or a host and a port: 7420, 127.0.0.1:7420, [::1]:7420",
}
# tomllib takes quadratic time in the number of parts of a dotted key. Keys of kb have two, and no quoted path has 64.
_ENDLESS_KEY: Final = re.compile(
    r"""(?<![\w"'-])(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')){64}"""
)
# The most mistakes that are listed, and the longest name for which a similar one is suggested.
_MAX_LISTED: Final = 20
_LONGEST_NAME: Final = 80
_SECTION: Final = re.compile(r"^\s*\[\s*([\w.\"'-]+)\s*\]")
_KEY: Final = re.compile(r"^\s*[\"']?([\w.-]+)[\"']?\s*=")
# How msgspec names an item of a list.
_ITEM: Final = re.compile(r" - at `\$\[(\d+)\]`$")


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that was given.

    Attributes:
        value: The value.
        origin: Where it was given, for messages.
        is_text: Whether it is text that has to be converted.
    """

    value: object
    origin: str
    is_text: bool = False


def load(
    config_file: str | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    found: bool = False,
) -> Settings:
    """Read the configuration that is in effect.

    The file is ``config_file``, else ``$KB_CONFIG``, else the nearest ``config.toml`` of kb in the current folder or
    above it, else the user's own; without any, the defaults apply. ``KB_SECTION__KEY`` in the environment overrides the
    file, and ``overrides`` override both. Relative paths in the file start at its folder, those in the environment and
    in overrides at the current folder.

    A file that was found in the current folder or above it is used only if it belongs to the user and stays inside its
    own folder, or is trusted (``kb.config.trust``).

    Args:
        config_file: The file to read, from the current folder.
        environ: The environment; None for that of this process.
        cwd: The current folder; None for that of this process.
        overrides: Values as text, by dotted key.
        found: Whether ``config_file`` was found, not named, by the process that started this one.

    Raises:
        ConfigError: The configuration has mistakes, all listed in one message with their places; or a file that was
            found is not trusted.
    """
    environ = os.environ if environ is None else environ
    here = Path(cwd) if cwd is not None else Path.cwd()
    place = look_for(config_file, environ, here, found=found)
    file = place.file if place else None
    if place is not None and place.around:
        require_owned(place)
    problems: list[str] = []
    # Read once, so that the content that is trusted is the one that is used.
    data = read_config(file) if file else b""
    given = _from_file(file, data, problems) if file else {}
    given.update(_from_environment(environ, problems))
    for key, text in (overrides or {}).items():
        given[key] = _Given(text, TYPED, is_text=True)
    config = _build(given, here, problems)
    if problems or config is None:
        raise ConfigError(_summary(problems), "Fix it; then 'kb config' shows each value and where it came from")
    origins = {key: one.origin for key, one in given.items()}
    around = place is not None and place.around
    settings = Settings(config, file, file.parent if file else here, origins, around)
    _check_store(settings)
    _check_server(settings)
    if place is not None and around:
        require_trust(settings, place, data, environ)
    return settings


def _check_store(settings: Settings) -> None:
    """Check that the store neither is nor contains a watched folder, since nothing in a store is read.

    Raises:
        ConfigError: It does.
    """
    try:
        store, folders = settings.store_path(), settings.folder_paths()
    except (RuntimeError, ValueError):
        # An invalid path fails where it is used.
        return
    for folder in folders:
        if Path(folder).is_relative_to(store):
            where = settings.origins.get("store.path", "its default")
            is_or_holds = "is" if folder == store else "holds"
            raise ConfigError(
                f"store.path ({where}) {is_or_holds} {folder}, a folder that is read",
                "Give the store a folder of its own",
            )


def _check_server(settings: Settings) -> None:
    """Check that the address of the Chroma server is one, and that nothing is sent to it in clear by mistake.

    Raises:
        ConfigError: It is not.
    """
    store = settings.config.store
    if not store.chroma:
        return
    where = settings.origins.get("store.chroma", "its default")
    try:
        parts = parse_url(store.chroma)
    except ValueError as error:
        raise ConfigError(
            f"store.chroma ({where}): {error}",
            "Write it as https://HOST:PORT, without a user, a space or a question mark",
        ) from error
    if parts.scheme == "http" and not is_this_machine(parts.hostname or "") and not store.unencrypted:
        raise ConfigError(
            f"store.chroma ({where}) would send vectors, paths and headers unencrypted to {parts.hostname}",
            f"Use https, or a tunnel: {tunnel(parts)}; or allow it: store.unencrypted = true",
        )


def _summary(problems: list[str]) -> str:
    if len(problems) == 1:
        return f"the configuration has a mistake: {problems[0]}"
    more = [f"and {len(problems) - _MAX_LISTED} more"] if len(problems) > _MAX_LISTED else []
    return "\n  ".join([f"the configuration has {len(problems)} mistakes:", *problems[:_MAX_LISTED], *more])


def _from_file(file: Path, data: bytes, problems: list[str]) -> dict[str, _Given]:
    """Return the values of a file by dotted key; unknown sections are problems."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        if endless := _ENDLESS_KEY.search(text):
            line = text.count("\n", 0, endless.start()) + 1
            problems.append(f"{file}:{line}: not valid: no key has more than one dot")
            return {}
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: not valid TOML: {error}")
        return {}
    except RecursionError:
        problems.append(f"{file}: not valid TOML: a value is nested too deeply")
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start:,})", "Save it as UTF-8") from error
    lines = _lines(text)
    given: dict[str, _Given] = {}
    for section, values in table.items():
        place = f"{file}:{lines.get(section, 1)}"
        if section not in sections():
            hint = _nearest(section, sections()) if len(problems) < _MAX_LISTED else ""
            problems.append(f"{place}: unknown section [{_short(section)}]{hint}")
        elif not isinstance(values, dict):
            problems.append(f"{place}: {section} must be a section, written [{section}]")
        else:
            for name, value in values.items():
                key = f"{section}.{name}"
                given[key] = _Given(value, f"{file}:{lines.get(key, lines.get(section, 1))}")
    return given


def _lines(text: str) -> dict[str, int]:
    """Return the line of each section and dotted key, which tomllib does not keep."""
    places: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _SECTION.match(line):
            section = found[1].strip("\"'")
            places.setdefault(section, number)
        elif found := _KEY.match(line):
            key = f"{section}.{found[1]}" if section else found[1]
            places.setdefault(key, number)
            places.setdefault(key.split(".")[0], number)
    return places


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    """Return the values of the environment, ``KB_SECTION__KEY``. Variables without two underscores are ignored."""
    given: dict[str, _Given] = {}
    for name, section, key, text in environment_values(environ):
        if section not in sections():
            problems.append(f"${name}: unknown section [{section}]{_nearest(section, sections())}")
        else:
            given[f"{section}.{key}"] = _Given(text, f"${name}", is_text=True)
    return given


def _build(given: Mapping[str, _Given], here: Path, problems: list[str]) -> Config | None:
    """Convert each value by itself, so that every mistake is reported."""
    known = {field.key: field for field in fields()}
    values: dict[str, dict[str, object]] = {section: {} for section in sections()}
    for key, one in given.items():
        field = known.get(key)
        if field is None:
            hint = _nearest(key, known) if len(problems) < _MAX_LISTED else ""
            problems.append(f"{one.origin}: unknown key {_short(key)}{hint}")
            continue
        try:
            values[field.section][field.name] = _converted(field, one, here)
        except msgspec.ValidationError as error:
            problems.append(f"{one.origin}: {key}: {_plain(error, field)}")
    if problems:
        return None
    return Config(**{section: struct(**values[section]) for section, struct in sections().items()})  # type: ignore[arg-type]  # one class per section, checked just above


def _converted(field: Field, one: _Given, here: Path) -> object:
    """Convert a value to the type of its key; text from the environment or flags is parsed."""
    if not one.is_text:
        return msgspec.convert(one.value, field.type)
    value: Any = _list_of(str(one.value)) if isinstance(field.default, tuple) else one.value
    if field.key in _PATH_KEYS:
        value = [_typed(part, here) for part in value] if isinstance(value, list) else _typed(value, here)
    return msgspec.convert(value, field.type, strict=False)


def _typed(path: str, here: Path) -> str:
    """Make a typed path absolute. An empty one stays empty, and is rejected later."""
    return joined(str(here), path) if path else path


def _list_of(text: str) -> list[str]:
    """Parse a list: a TOML array, else parts separated by the platform's path separator."""
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            return [str(part) for part in tomllib.loads(f"list = {stripped}")["list"]]
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise msgspec.ValidationError(f"not a list: {error}") from error
    return [part for part in stripped.split(os.pathsep) if part]


def _plain(error: msgspec.ValidationError, field: Field) -> str:
    """Reword the message of msgspec for a configuration file."""
    text = str(error)
    if "enum value" in text:
        return f"expected one of {', '.join(field.values)}, got {text.rpartition('value ')[2]}"
    if "matching regex" in text:
        return f"expected {_SHAPES[field.key]}"
    for theirs, ours in (
        ("`array`", "a list"),
        ("`str`", "text"),
        ("`int`", "a whole number"),
        ("`float`", "a number"),
        ("`bool`", "true or false"),
    ):
        text = text.replace(theirs, ours)
    if place := _ITEM.search(text):
        text = f"{text[: place.start()]} at place {int(place[1]) + 1} of the list"
    return text[0].lower() + text[1:]


def _short(name: str) -> str:
    """Shorten an unknown name for a message."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _nearest(word: str, known: Mapping[str, object]) -> str:
    """Suggest the known name most similar to an unknown one; empty if there is none."""
    if len(word) > _LONGEST_NAME:
        return ""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if not near:
        leaf = word.rpartition(".")[2]
        near = [key for key in known if key.rpartition(".")[2] == leaf][:1]
    if near:
        return f"; did you mean {near[0]}?"
    return f"; the sections are {', '.join(known)}" if "." not in word else ""
