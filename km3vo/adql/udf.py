"""User-defined functions: those of the IVOA's catalogue (EN-UDF 1.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from km3vo.adql.scope import Scope
from km3vo.adql.tree import Call
from km3vo.adql.value import Value

if TYPE_CHECKING:
    from km3vo.adql.resolve import Values


@dataclass(frozen=True, slots=True)
class Udf:
    """A function that is declared in the capabilities.

    Attributes:
        signatures: one for each way to call it, as TAPRegExt wants them.
        description: for people.
        value: resolves a call.
    """

    signatures: tuple[str, ...]
    description: str
    value: Callable[[Values, Call, Scope], Value]


FUNCTIONS: dict[str, Udf] = {}
