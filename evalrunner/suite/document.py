"""A configuration, suite or schema file as a document: YAML, or JSON by its ending."""

from __future__ import annotations

from pathlib import Path

from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.files import DOCUMENT_LIMIT, read_file, text_of
from evalrunner.suite.json_text import parse_json
from evalrunner.suite.tree import Document
from evalrunner.values.project import FileRead


def read_document(
    root: Path, path: Path, *, limit_bytes: int = DOCUMENT_LIMIT
) -> tuple[FileRead, Document]:
    """One file, read once and parsed.

    Raises:
        ConfigError: The file cannot be read (see :func:`~evalrunner.suite.files.read_file`).
        LoadError: It can, but its text is not good; each problem with file and line.
    """
    read = read_file(root, path, limit_bytes=limit_bytes)
    return read, parse_document(read)


def parse_document(read: FileRead) -> Document:
    """The document in a file's bytes.

    Raises:
        LoadError: The bytes are not a good YAML or JSON text.
    """
    try:
        text = text_of(read.data, read.path)
    except ConfigError as error:
        raise LoadError([Problem(error.message, file=read.path, line=1, hint=error.hint)]) from None
    if read.path.lower().endswith(".json"):
        return parse_json(text, read.path)
    from evalrunner.suite.yaml_text import parse_yaml  # 40 ms, which rows in JSON need not pay

    return parse_yaml(text, read.path)
