"""Reading an operator's lists: services of others, observatories."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from km3vo.errors import SetupError

Entry = TypeVar("Entry", bound=BaseModel)


def entries(file: Path, setting: str, kind: type[Entry]) -> tuple[Entry, ...]:
    """The entries of a YAML file.

    Args:
        setting: the name of the setting that names the file.

    Raises:
        SetupError: it cannot be read, or is wrong.
    """
    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise SetupError(f"{setting} names {file}, which cannot be read as YAML") from None
    if not isinstance(found, list):
        raise SetupError(f"{file} holds no list: begin each entry with - name:")
    try:
        return tuple(kind.model_validate(entry) for entry in found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SetupError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
