"""User-defined functions by their signatures: which arguments they take follows from what is declared (TAPRegExt §2.3).

A function is declared once, with the text that /capabilities and the documentation show.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from km3vo.adql import casts
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.tree import Call, ValueNode
from km3vo.adql.types import INTEGERS, WORDS, Type
from km3vo.adql.value import Value

_SIGNATURE = re.compile(r"(\w+)\(([^()]*)\) -> ([A-Z ]+(?:\[\])?)")
# What the types of a signature are called in ADQL, for a result of the function.
_RESULTS: dict[str, Type] = {
    "INTEGER": "INTEGER",
    "BIGINT": "BIGINT",
    "REAL": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "VARCHAR": "CHAR",
    "TIMESTAMP": "TIMESTAMP",
    "POINT": "POINT",
    "CIRCLE": "CIRCLE",
    "POLYGON": "POLYGON",
    "MOC": "MOC",
    "INTEGER[]": "ARRAY",
}
_NEEDED: dict[Type, str] = {
    "INTEGER": "a whole number",
    "BIGINT": "a whole number",
    "DOUBLE": "a number",
    "CHAR": "a string",
    **{type_: WORDS[type_] for type_ in ("TIMESTAMP", "POINT", "CIRCLE", "POLYGON", "MOC")},
}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a signature: any integer goes for INTEGER and BIGINT, any number for REAL and DOUBLE PRECISION.

    Attributes:
        type: what it is.
        literal: whether it has to be written out, for what must be known when the query is translated.
    """

    name: str
    type: Type
    literal: bool = False

    def takes(self, value: Value) -> bool:
        """Whether a value may be given for it."""
        if self.literal:
            return isinstance(value.constant, str if self.type == "CHAR" else int)
        if value.type == "NULL":
            return self.type in ("INTEGER", "BIGINT", "DOUBLE", "CHAR", "TIMESTAMP")
        if self.type in INTEGERS:
            return value.is_integer
        if self.type == "DOUBLE":
            return value.is_number
        return value.type == self.type or (self.type == "TIMESTAMP" and value.type == "CHAR")

    @property
    def needed(self) -> str:
        """What it takes, in words."""
        if not self.literal:
            return _NEEDED[self.type]
        return "a string in single quotes" if self.type == "CHAR" else "a whole number, written out,"


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a function.

    Attributes:
        text: as TAPRegExt has it, "name(argument TYPE, …) -> TYPE".
        arguments: read from it.
        result: type of what comes out.
    """

    text: str
    arguments: tuple[Argument, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class Udf:
    """A user-defined function.

    Attributes:
        signatures: one for each way to call it.
        description: for people.
        make: the result, from the resolved arguments.
        aggregate: whether it is an aggregate.
    """

    signatures: tuple[Signature, ...]
    description: str
    make: Callable[[ValueResolver, Call, list[Value]], Value]
    aggregate: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.signatures[0].text.partition("(")[0])

    def value(self, resolver: ValueResolver, node: Call, scope: Scope) -> Value:
        """Resolve a call. Raises AdqlError when the arguments are not what a signature asks for."""
        candidates = [signature for signature in self.signatures if len(signature.arguments) == len(node.arguments)]
        if not candidates:
            raise resolver.error(node, f"these are not the arguments that {self.name.lower()} takes", self._usage())
        if self.aggregate:
            values = resolver.in_aggregate(node, node.arguments, scope)
        else:
            values = [resolver.value(argument, scope) for argument in node.arguments]
        for place, (argument, value) in enumerate(zip(node.arguments, values, strict=True)):
            fitting = [signature for signature in candidates if signature.arguments[place].takes(value)]
            if not fitting:
                needed = _or([signature.arguments[place].needed for signature in candidates])
                message = f"{self.name.lower()} needs {needed} here, but this is {WORDS[value.type]}"
                raise resolver.error(argument, message, self._usage())
            candidates = fitting
        result = self.make(resolver, node, self._converted(resolver, node.arguments, values, candidates[0]))
        assert result.type == candidates[0].result, self.name
        result.name = self.name.lower()
        return result

    def _converted(
        self, resolver: ValueResolver, nodes: list[ValueNode], values: list[Value], signature: Signature
    ) -> list[Value]:
        """The values, strings for timestamps being timestamps."""
        return [
            casts.as_timestamp(resolver, node, value) if argument.type == "TIMESTAMP" else value
            for node, value, argument in zip(nodes, values, signature.arguments, strict=True)
        ]

    def _usage(self) -> str:
        return f"write {' or '.join(signature.text.split(' -> ')[0] for signature in self.signatures)}"


def declared(
    make: Callable[[ValueResolver, Call, list[Value]], Value],
    description: str,
    *signatures: str,
    literals: tuple[str, ...] = (),
    aggregate: bool = False,
) -> Udf:
    """A function by its signatures.

    Args:
        make: gives the result, from the resolved arguments.
        description: for people.
        signatures: as TAPRegExt wants them, "name(argument TYPE, …) -> TYPE".
        literals: names of the arguments that have to be written out.
        aggregate: whether it is an aggregate.

    Raises:
        ValueError: a signature is not of that form.
    """
    return Udf(tuple(_signature(text, literals) for text in signatures), description, make, aggregate)


def _signature(text: str, literals: tuple[str, ...]) -> Signature:
    match = _SIGNATURE.fullmatch(text)
    if match is None or match[3] not in _RESULTS:
        raise ValueError(f"not the signature of a function: {text}")
    arguments = []
    for argument in match[2].split(", "):
        name, _, type_ = argument.partition(" ")
        arguments.append(Argument(name, _RESULTS[type_], name in literals))
    return Signature(text, tuple(arguments), _RESULTS[match[3]])


def _or(words: list[str]) -> str:
    """Words, each once, as people list what is possible: "a point, circle or polygon"."""
    first, *rest = dict.fromkeys(words)
    if not rest:
        return first
    *most, last = (word.removeprefix("a ") for word in rest)
    return f"{', '.join([first, *most])} or {last}"
