"""The files that a suite names with ``file://``: each read once, remembered, and never left open."""

from __future__ import annotations

from pathlib import Path

from evalrunner.errors import ConfigError
from evalrunner.suite.document import parse_document
from evalrunner.suite.files import FILE_SCHEME, name_below, read_file, resolve_reference, text_of
from evalrunner.suite.render import is_template
from evalrunner.suite.tree import Document
from evalrunner.values.exchange import Json
from evalrunner.values.project import FileRead

DOCUMENT_ENDINGS = (".json", ".yaml", ".yml")


class References:
    """Reads what one suite file refers to.

    Args:
        root: The project's root, which no reference may leave.
        from_file: The file that says ``file://``.
    """

    def __init__(self, root: Path, from_file: Path) -> None:
        self.root = root
        self.from_file = from_file
        self._reads: dict[Path, FileRead] = {}

    @property
    def files(self) -> tuple[FileRead, ...]:
        """What was read so far, by digest and without the data."""
        return tuple(FileRead(path=read.path, sha256=read.sha256) for read in self._reads.values())

    def text(self, reference: str) -> tuple[str, str]:
        """The text of a file, and its path relative to the root.

        Raises:
            ConfigError: It cannot be read, or is not UTF-8.
        """
        read = self._read(reference)
        return text_of(read.data, read.path), read.path

    def document(self, reference: str) -> Document:
        """The YAML or JSON document in a file.

        Raises:
            ConfigError: It cannot be read.
            LoadError: It is not a good document.
        """
        return parse_document(self._read(reference))

    def value(self, value: Json) -> Json:
        """A value, or what the file holds that it names: a document by its ending, else text.

        Text with ``{{…}}`` is a template and names no file.

        Raises:
            ConfigError: The file cannot be read.
            LoadError: It is not a good document.
        """
        if not is_reference(value):
            return value
        reference = str(value)
        if reference.lower().endswith(DOCUMENT_ENDINGS):
            return self.document(reference).value
        return self.text(reference)[0]

    def _read(self, reference: str) -> FileRead:
        path = resolve_reference(reference, self.from_file, self.root)
        if path not in self._reads:
            try:
                self._reads[path] = read_file(self.root, path)
            except ConfigError as error:
                shown = name_below(self.root, path)
                hint = error.hint or f"{reference!r} is relative to the folder of this file"
                message = error.message.replace(str(path), shown)
                raise ConfigError(message, hint=hint) from None
        return self._reads[path]


def is_reference(value: object) -> bool:
    """Whether a value names a file to be read."""
    return isinstance(value, str) and value.startswith(FILE_SCHEME) and not is_template(value)
