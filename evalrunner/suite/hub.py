"""Golden rows from Parquet files and from data sets, through the extra ``hf``, loaded when first read."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.files import resolve_reference
from evalrunner.suite.golden_formats import StreamedFile
from evalrunner.suite.goldens import RawRow
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.project import FileRead

SCHEME: Final = "hf://"
INSTALL_HINT: Final = "install the extra hf from the checkout: pip install '.[hf]'"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_REVISION: Final = re.compile(r"[\w][\w./-]{0,199}")
_OPTIONS: Final = ("split", "revision", "name")
_DATA_SUFFIXES: Final = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
_MAX_FILES: Final = 1000
_BATCH: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """``hf://…`` taken apart: a repository or a local path, and what of it."""

    where: str
    local: bool
    split: str = "train"
    revision: str | None = None
    name: str | None = None


def hub_address(reference: str) -> HubAddress:
    """The parts of ``hf://owner/name?split=…&revision=…`` or ``hf://./folder?split=…``.

    Raises:
        ConfigError: It is neither, has an option that we do not know, or names a remote data set
            without the revision that makes it the same tomorrow.
    """
    where, _, query = reference.removeprefix(SCHEME).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in _OPTIONS:
            hint = did_you_mean(option, _OPTIONS) or f"known: {', '.join(_OPTIONS)}"
            raise ConfigError(f"{option!r} is not an option of {SCHEME}", hint=hint)
    local = where.startswith((".", "/"))
    revision = options.get("revision") or None
    if not local and not _REPOSITORY.fullmatch(where):
        hint = f"write {SCHEME}owner/name?revision=… or {SCHEME}./folder"
        raise ConfigError(f"{reference!r} is no data set", hint=hint)
    if not local and revision is None:
        separator = "&" if query else "?"
        hint = f"add {separator}revision=COMMIT, the commit on the data set's page"
        raise ConfigError(f"{reference!r} has no revision, so it may change", hint=hint)
    if revision is not None and not _REVISION.fullmatch(revision):
        raise ConfigError(f"{revision!r} is not a revision")
    return HubAddress(
        where=where,
        local=local,
        split=options.get("split") or "train",
        revision=revision,
        name=options.get("name") or None,
    )


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """One Parquet file, read in batches."""

    root: Path
    path: Path
    read: FileRead

    @property
    def file(self) -> str:
        """The file's path."""
        return self.read.path

    @property
    def files(self) -> tuple[FileRead, ...]:
        """The one file."""
        return (self.read,)

    def rows(self) -> Iterator[RawRow]:
        """A row for each record; the number of the record stands for a line."""
        parquet = _module("pyarrow.parquet", self.file)
        if StreamedFile(self.root, self.path).read != self.read:
            raise _error("the file changed while it was read", self.file)
        try:
            with parquet.ParquetFile(str(self.path)) as table:
                batches = table.iter_batches(batch_size=_BATCH)
                records = (record for batch in batches for record in batch.to_pylist())
                yield from _numbered(records, self.file)
        except LoadError:
            raise
        except Exception as error:  # noqa: BLE001  # the library's errors have no common base
            raise _error(f"this is not a Parquet file: {_short(error)}", self.file) from None

    def raw_lines(self) -> Iterator[bytes] | None:
        """``None``: there are no lines."""
        return None


@dataclass(frozen=True, slots=True)
class HubRows:
    """A data set of the hub at one revision, or the data files of a local folder.

    Attributes:
        address: Which one.
        data_files: The files of a local one; empty for a remote one.
        files: The same by digest.
        offline: Whether only what an earlier reading left on this machine may be used.
    """

    address: HubAddress
    data_files: tuple[str, ...] = ()
    files: tuple[FileRead, ...] = ()
    offline: bool = False

    @property
    def file(self) -> str:
        """The address, as errors call it."""
        revision = f"@{self.address.revision}" if self.address.revision else ""
        return f"{SCHEME}{self.address.where}{revision}"

    def rows(self) -> Iterator[RawRow]:
        """A row for each record; the number of the record stands for a line."""
        datasets = _quiet_library(self.file, offline=self.offline or self.address.local)
        try:
            yield from _numbered(iter(self._open(datasets)), self.file)
        except LoadError:
            raise
        except Exception as error:  # noqa: BLE001  # the library's errors have no common base
            hint = "run once without --frozen to fetch it" if self.offline else None
            raise _error(f"the data set cannot be read: {_short(error)}", self.file, hint) from None

    def raw_lines(self) -> Iterator[bytes] | None:
        """``None``: there are no lines."""
        return None

    def _open(self, datasets: Any) -> Any:  # noqa: ANN401  # an optional library without types
        address = self.address
        if self.data_files:
            kind = _DATA_SUFFIXES[Path(self.data_files[0]).suffix.lower()]
            return datasets.load_dataset(
                kind,
                data_files={address.split: list(self.data_files)},
                split=address.split,
                streaming=True,  # rows pass through; nothing is copied into a home directory
            )
        return datasets.load_dataset(
            address.where,
            name=address.name,
            split=address.split,
            revision=address.revision,
            download_config=datasets.DownloadConfig(local_files_only=self.offline),
        )


def parquet_rows(root: Path, path: Path) -> ParquetRows:
    """The rows of one Parquet file.

    Raises:
        ConfigError: It cannot be read.
    """
    return ParquetRows(root, path, StreamedFile(root, path).read)


def hub_rows(reference: str, from_file: Path, root: Path, *, offline: bool = False) -> HubRows:
    """The rows that ``hf://…`` names. Nothing is imported or fetched yet.

    A local path is relative to the folder of ``from_file`` and may name nothing outside the root. In
    a folder, the files whose path holds the split's name count, or all where none does.

    Raises:
        ConfigError: The address is not good, or names no local data.
    """
    address = hub_address(reference)
    if not address.local:
        return HubRows(address, offline=offline)
    path = resolve_reference(address.where, from_file, root)
    found = _data_files(path, address.split)
    if not found:
        endings = ", ".join(_DATA_SUFFIXES)
        raise ConfigError(f"{reference!r} names no data", hint=f"put files with {endings} there")
    reads = tuple(StreamedFile(root, file).read for file in found)
    return HubRows(address, tuple(str(file) for file in found), reads, offline)


def _data_files(path: Path, split: str) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in _DATA_SUFFIXES else []
    found = []
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in _DATA_SUFFIXES and not file.name.startswith((".", "state.")):
            found.append(file)
        if len(found) > _MAX_FILES:
            raise ConfigError(f"{path.name!r} holds more than {_MAX_FILES} data files")
    found = [file for file in found if file.name != "dataset_info.json"]
    named = [file for file in found if split in file.relative_to(path).as_posix()]
    chosen = named or found
    return [file for file in chosen if file.suffix == chosen[0].suffix]


def _quiet_library(file: str, *, offline: bool) -> Any:  # noqa: ANN401  # an optional library without types
    """``datasets`` without its telemetry: a usage count, a user agent, progress bars.

    The environment is what it reads when first imported, its configuration what it reads later.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    datasets = _module("datasets", file)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    datasets.config.HF_HUB_OFFLINE = offline
    _module("huggingface_hub.constants", file).HF_HUB_OFFLINE = offline
    datasets.disable_progress_bars()
    return datasets


def _module(name: str, file: str) -> Any:  # noqa: ANN401  # an optional library without types
    try:
        return import_module(name)
    except ImportError:
        raise _error(f"reading this needs {name.partition('.')[0]}", file, INSTALL_HINT) from None


def _error(message: str, file: str, hint: str | None = None) -> LoadError:
    return LoadError([Problem(message, file=file, line=1, hint=hint)])


def _numbered(records: Iterator[Any], file: str) -> Iterator[RawRow]:
    for number, record in enumerate(records, 1):
        try:
            row = _as_json(record)
        except ValueError as error:
            yield number, Problem(str(error), file=file, line=number)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            yield number, Problem("a row must be a mapping", file=file, line=number)


def _as_json(value: object, column: str = "") -> Json:
    """A record's value as JSON: times in ISO form, exact decimals as text, no bytes, no NaN."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"the column {column!r} holds {value!r}, which is not JSON")
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Mapping():
            return {str(key): _as_json(item, column or str(key)) for key, item in value.items()}
        case list() | tuple():
            return [_as_json(item, column) for item in value]
        case _:
            raise ValueError(
                f"the column {column!r} holds {type(value).__name__}, which is not JSON"
            )


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"
