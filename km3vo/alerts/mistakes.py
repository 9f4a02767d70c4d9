"""What is wrong with a standard event: where, with which value, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from km3vo.errors import ConflictError, RequestError

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        path: of the value in the message, such as ``events[0].ra``; empty when all of it is meant.
        value: as it was sent, shortened; empty when it is missing.
        repair: what is wrong and what to write.
    """

    path: str
    value: str
    repair: str

    def __str__(self) -> str:
        where = self.path or "the message"
        return f"{where} = {self.value}: {self.repair}" if self.value else f"{where}: {self.repair}"


def path(steps: Sequence[str | int]) -> str:
    """Steps into a message as one text: ``events[0].ra``."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown(value: Any) -> str:
    """A value as JSON, on one line and not longer than people read."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


class AlertError(RequestError):
    """A standard event cannot be accepted as it stands; all its mistakes are told at once."""

    status = 422

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class ClashError(ConflictError):
    """An alert with the identifier of a new one is there, and says something else."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        told = "\n".join(map(str, mistakes))
        super().__init__(f"an alert with this alert_id is there: send an update to change it\n{told}".rstrip())
        self.mistakes = tuple(mistakes)
