"""YAML files that operators write and settings name, read with words for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from km3vo.errors import SetupError

Entry = TypeVar("Entry", bound=BaseModel)


@contextmanager
def told_of(file: Path, setting: str) -> Iterator[None]:
    """What is wrong with a file while it is read, as SetupError; ``setting`` names the file."""
    try:
        yield
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise SetupError(f"{setting} names {file}, which cannot be read as YAML") from None
    except ValidationError as error:
        # Without the values: a secret may stand where none should.
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SetupError(f"{file}: {where + ': ' if where else ''}{first['msg']}") from None


def entries(file: Path, setting: str, kind: type[Entry]) -> tuple[Entry, ...]:
    """The entries of a file that holds a list.

    Args:
        setting: the name of the setting that names the file.

    Raises:
        SetupError: it cannot be read, or is wrong.
    """
    with told_of(file, setting):
        found = yaml.safe_load(file.read_text())
        if not isinstance(found, list):
            raise SetupError(f"{file} holds no list: begin each entry with - name:")
        return tuple(kind.model_validate(entry) for entry in found)
