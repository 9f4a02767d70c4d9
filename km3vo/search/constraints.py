"""What stands in the field of a column, as a condition in ADQL: ``>5``, ``1..5 TeV``, ``a,!b*``, a day, ``!null``.

A list separated by commas fits a row that any of its members fits, and none that is negated. A day stands for all of
it. Units are converted into that of the column.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

from km3vo import times
from km3vo.adql.query_tables import spelled
from km3vo.adql.units import factor
from km3vo.column import MJD, Column
from km3vo.errors import ParameterError

LONGEST = 2000  # characters
_NUMBER = r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{1,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
_VALUE = re.compile(rf"({_NUMBER}) ?([^0-9\s.+-].{{0,30}})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OPERATOR = re.compile(r"(>=|<=|!=|<>|=|>|<|!|≥|≤|≠|)\s*(.*)", re.S)
_MEMBER = re.compile(r'\s*((?:"[^"]*"|[^",])*)\s*(?:,|$)')
_OPERATORS = {"≥": ">=", "≤": "<=", "≠": "<>", "!=": "<>", "!": "<>", "": "="}
_SIGNS = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u2009": " "})
NUMBERS = {"short", "int", "long", "unsignedByte", "float", "double"}


class ConstraintError(ParameterError):
    """A constraint that cannot be read; the text says what to write instead."""


def condition(column: Column, text: str) -> str:
    """The condition in ADQL; empty when the text is.

    Raises:
        ConstraintError: it is no constraint of such a column.
    """
    if len(text) > LONGEST:
        raise ConstraintError(f"a constraint has at most {LONGEST} characters")
    positive: list[str] = []
    negative: list[str] = []
    for member in _members(text):
        made, negated = _Reader(column).member(member)
        (negative if negated else positive).append(made)
    if len(positive) > 1:
        positive = [f"({' OR '.join(positive)})"]
    return " AND ".join([*positive, *negative])


def can_be_constrained(column: Column) -> bool:
    """Whether there are constraints of such a column: numbers, texts and times, one in each row."""
    return column.is_string or (column.datatype in NUMBERS and not column.arraysize)


def _members(text: str) -> list[str]:
    """What stands between the commas, those within quotation marks aside."""
    found, at = [], 0
    text = text.translate(_SIGNS)
    while at < len(text):
        match = _MEMBER.match(text, at)
        if match is None:
            raise ConstraintError('a quotation mark is not closed: write "a, b" for a text with a comma')
        if match[1].strip():
            found.append(match[1].strip())
        at = match.end()
    return found


class _Reader:
    """Reads the members of one column's constraint."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._name = spelled(column.name)
        self._is_time = column.xtype == "timestamp" or (column.time is not None and column.time.origin == MJD)

    def member(self, text: str) -> tuple[str, bool]:
        """One member as ADQL, and whether it is negated."""
        bare = text.replace(" ", "").lower()
        if bare in ("null", "=null"):
            return f"{self._name} IS NULL", False
        if bare in ("!null", "!=null", "notnull"):
            return f"{self._name} IS NOT NULL", True
        found = _OPERATOR.fullmatch(text)
        assert found is not None
        operator = _OPERATORS.get(found[1], found[1])
        value = found[2].strip()
        if not value:
            raise ConstraintError(f"a value is missing after {found[1]}: write {found[1]}5")
        return self._compared(operator, value), operator == "<>"

    def _compared(self, operator: str, value: str) -> str:
        if not (self._is_time or self._column.datatype in NUMBERS):
            return self._worded(operator, value)
        low, dots, high = (part.strip() for part in value.partition(".."))
        if not dots:
            return self._one(operator, value)
        if operator not in ("=", "<>"):
            raise ConstraintError(f"{operator}{value}: write a range as {value}, without {operator}")
        if not self._is_time and low and high:
            low = self._with_unit_of(low, high)
        ends = [self._one(sign, end) for sign, end in ((">=", low), ("<=", high)) if end]
        if not ends:
            raise ConstraintError("a range has an end: write 1..5, or 1.., or ..5")
        both = " AND ".join(ends)
        if operator == "<>":
            return f"NOT ({both})"
        return f"({both})" if len(ends) > 1 else both

    @staticmethod
    def _with_unit_of(low: str, high: str) -> str:
        """In 1..5 TeV the unit is that of both."""
        one, other = _VALUE.fullmatch(low), _VALUE.fullmatch(high)
        return f"{low} {other[2]}" if one and other and other[2] and not one[2] else low

    def _one(self, operator: str, value: str) -> str:
        if self._is_time:
            return self._timed(operator, value)
        return f"{self._name} {operator} {self._number(value)}"

    def _number(self, value: str) -> str:
        found = _VALUE.fullmatch(value)
        column = self._column
        if found is None:
            raise ConstraintError(f"{value[:60]} is no number: write 5, >5, <=5, 1..5, !5, or null")
        number, unit = found[1], (found[2] or "").strip()
        if unit and unit != column.unit:
            if not column.unit:
                raise ConstraintError(f"{column.name} has no unit: write {number} alone")
            scale = factor(unit, column.unit)
            if scale is None:
                raise ConstraintError(f"{unit[:30]} cannot be converted into {column.unit}, the unit of {column.name}")
            number = f"{float(number) * scale:.15g}"
        if not math.isfinite(float(number)):
            raise ConstraintError(f"{value[:60]} is beyond all numbers")
        whole = re.fullmatch(r"[+-]?[0-9]+", number)
        return str(int(number)) if whole else repr(float(number))

    def _timed(self, operator: str, value: str) -> str:
        """A day has a length: later than a day is after its end."""
        value = value.strip().strip("\"'")
        stamp = self._column.xtype == "timestamp"
        if re.fullmatch(_NUMBER, value):
            if not stamp:
                return f"{self._name} {operator} {self._number(value)}"
            try:
                moment = times.MJD_ZERO + timedelta(days=float(value))
            except OverflowError:
                raise ConstraintError(f"{value} is no MJD of our calendar") from None
            return f"{self._name} {operator} '{times.full(moment, zone=False)}'"
        try:
            begin = times.moment(value)
            end = begin + timedelta(days=1)
        except (times.NotATime, OverflowError) as error:
            raise ConstraintError(f"{value[:60]} {error}" if str(error) else f"{value[:60]} is no time") from None

        def at(moment: object) -> str:
            return f"'{times.full(moment, zone=False)}'" if stamp else repr(times.mjd(moment))  # type: ignore[arg-type]

        if not _DAY.fullmatch(value):
            return f"{self._name} {operator} {at(begin)}"
        if operator in (">=", "<"):
            return f"{self._name} {operator} {at(begin)}"
        if operator in (">", "<="):
            return f"{self._name} {'>=' if operator == '>' else '<'} {at(end)}"
        within = f"({self._name} >= {at(begin)} AND {self._name} < {at(end)})"
        return within if operator == "=" else f"NOT {within}"

    def _worded(self, operator: str, value: str) -> str:
        column = self._column
        if operator not in ("=", "<>"):
            raise ConstraintError(f"{column.name} holds words: write one, or !one, or a*, or null")
        quoted = len(value) > 1 and value[0] == value[-1] == '"'
        word = value[1:-1] if quoted else value
        if "*" in word and not quoted:
            if "%" in word:
                raise ConstraintError("a text with * cannot hold % as well")
            like = "LIKE" if operator == "=" else "NOT LIKE"
            return f"{self._name} {like} {string(word.replace('*', '%'))}"
        if column.values and word not in column.values:
            alike = [known for known in column.values if known.lower() == word.lower()]
            hint = f"did you mean {alike[0]}?" if alike else f"it is one of {', '.join(column.values)}"
            raise ConstraintError(f"{word[:60]} is no value of {column.name}: {hint}")
        return f"{self._name} {operator} {string(word)}"


def string(text: str) -> str:
    """A text as ADQL writes it."""
    return "'" + text.replace("'", "''") + "'"
