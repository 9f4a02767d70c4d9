"""ADQL by the thousand: queries that a public user might write to find out what is not to be seen.

Values are drawn from those that occur in public and in embargoed rows alike; functions are chosen because they raise
errors on some rows, and because PostgreSQL may evaluate them in another order than it was written.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Relation:
    """A table as a query names it: its columns by kind."""

    name: str
    numbers: list[str]
    strings: list[str]
    times: list[str] = field(default_factory=list)
    positions: bool = False
    id: str = ""

    @property
    def columns(self) -> list[str]:
        return [*self.numbers, *self.strings, *self.times]


EVENT = (["mjd", "ra", "dec", "err50", "energy", "nhits"], ["event_id", "tag"], ["obs_time"], True, "event_id")
EVENTS = Relation("lab.events", *EVENT)
KNOWN = Relation("lab.known", *EVENT)
ALERTS = Relation("lab.alerts", ["number"], ["event_id"], ["obs_time"], False, "number")
UPLOAD = Relation("tap_upload.mine", ["ra", "dec", "n"], ["name"], [], True, "name")
COLUMNS = Relation("tap_schema.columns", ["principal", "indexed", "std", "column_index"], ["table_name", "column_name"])
TABLES = Relation("tap_schema.tables", ["table_index"], ["table_name", "table_type"])


class Queries:
    """An endless supply, the same for the same seed. ``uploads`` tells which of them need TAP_UPLOAD.mine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._depth = 0

    def __iter__(self) -> Queries:
        return self

    def __next__(self) -> str:
        self._depth = 0
        shapes: list[tuple[int, Callable[[], str]]] = [
            (6, self._select),
            (2, self._join),
            (2, self._grouped),
            (2, self._set_operation),
            (1, self._common_table),
            (1, self._catalogue),
            (1, self._crossmatch),
            (1, self._broken),
        ]
        return self._random.choices([make for _, make in shapes], [weight for weight, _ in shapes])[0]()

    # Parts

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _relation(self) -> Relation:
        return self._random.choices([EVENTS, ALERTS, KNOWN, UPLOAD], [8, 3, 1, 1])[0]

    def _number(self) -> str:
        return self._pick(
            "0",
            "1",
            "123",
            "-5",
            "1e3",
            "2.5",
            "59999",
            "60000.5",
            "9000000000",
            "1e300",
            str(self._random.randint(0, 400)),
        )

    def _string(self) -> str:
        return self._pick("'a'", "'12'", "'secret'", "'x y'", "'%'", "''", "'e17'", "'h17'", "'2015-01-01'", "'a_b'")

    def _time(self) -> str:
        return self._pick("'2015-06-01T00:00:00'", "'2090-06-01T00:00:00'", "'1900-01-01'", "'2091-01-01T12:00:00.5'")

    def _value(self, relation: Relation, prefix: str) -> str:
        """An expression that gives a number, and may raise."""
        column = prefix + self._random.choice(relation.numbers)
        if self._random.random() < 0.4:
            return column
        string = prefix + self._random.choice(relation.strings)
        other = prefix + self._random.choice(relation.numbers)
        number = self._number()
        return self._pick(
            f"1 / ({column} - {number})",
            f"MOD(7, {column} - 123)",
            f"SQRT({column} - {number})",
            f"LOG({column})",
            f"LOG10({column} - {number})",
            f"POWER({column}, {other})",
            f"EXP({column})",
            f"ASIN({column})",
            f"CAST({string} AS INTEGER)",
            f"CAST({string} AS DOUBLE PRECISION)",
            f"CAST({column} AS SMALLINT)",
            f"CAST({column} * {column} AS INTEGER)",
            f"{column} * {other} + {number}",
            f"ROUND({column}, 2)",
            f"COALESCE({column}, {other})",
            f"ABS({column} - {other})",
        )

    def _condition(self, relation: Relation, prefix: str = "") -> str:
        self._depth += 1
        try:
            if self._depth < 3 and self._random.random() < 0.35:
                left, right = self._condition(relation, prefix), self._condition(relation, prefix)
                return self._pick(f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})")
            kinds = ["number", "number", "string", "null", "subquery"]
            kinds += ["time"] if relation.times else []
            kinds += ["place", "place"] if relation.positions else []
            return getattr(self, f"_by_{self._pick(*kinds)}")(relation, prefix)
        finally:
            self._depth -= 1

    def _by_number(self, relation: Relation, prefix: str) -> str:
        value, number = self._value(relation, prefix), self._number()
        return self._pick(
            f"{value} {self._pick('=', '<', '>', '<=', '<>')} {number}",
            f"{value} BETWEEN {number} AND {self._number()}",
            f"{value} IN ({number}, {self._number()}, 17)",
        )

    def _by_string(self, relation: Relation, prefix: str) -> str:
        column, string = prefix + self._random.choice(relation.strings), self._string()
        return self._pick(
            f"{column} = {string}",
            f"{column} LIKE {string}",
            f"{column} LIKE 'e%'",
            f"{column} NOT LIKE '%s%'",
            f"LOWER({column}) > {string}",
            f"{column} || {string} ILIKE '%SEC%'",
            f"{string} LIKE {column}",
            f"CAST({column} AS TIMESTAMP) > '2000-01-01'",
        )

    def _by_time(self, relation: Relation, prefix: str) -> str:
        return f"{prefix}{self._random.choice(relation.times)} {self._pick('<', '>', '=')} {self._time()}"

    def _by_null(self, relation: Relation, prefix: str) -> str:
        return f"{prefix}{self._random.choice(relation.columns)} IS {self._pick('', 'NOT ')}NULL"

    def _by_place(self, relation: Relation, prefix: str) -> str:
        point = f"POINT({prefix}ra, {prefix}dec)"
        radius = prefix + ("err50" if "err50" in relation.numbers else "n")
        ra, dec = self._random.choice([(10, 20), (200, -40), (0, 90), (359.9, 0)])
        size = self._pick("0.1", "2", "30", "89")
        return self._pick(
            f"1 = CONTAINS({point}, CIRCLE({ra}, {dec}, {size}))",
            f"0 = CONTAINS({point}, CIRCLE({ra}, {dec}, {size}))",
            f"DISTANCE({point}, POINT({ra}, {dec})) < {size}",
            f"DISTANCE({point}, POINT({ra}, {dec})) > {size}",
            f"1 = INTERSECTS(CIRCLE({prefix}ra, {prefix}dec, {radius}), CIRCLE({ra}, {dec}, {size}))",
            f"1 = CONTAINS(POINT({ra}, {dec}), CIRCLE({prefix}ra, {prefix}dec, {radius} - 1))",
            f"1 = CONTAINS({point}, POLYGON({ra}, {min(dec, 80)}, {ra} + 5, {min(dec, 80)}, {ra}, {min(dec, 80) + 5}))",
            f"AREA(CIRCLE({prefix}ra, {prefix}dec, {radius} * 10)) > {size}",
        )

    def _by_subquery(self, relation: Relation, prefix: str) -> str:
        other = self._random.choice([EVENTS, ALERTS])
        string, theirs = prefix + self._random.choice(relation.strings), self._random.choice(other.strings)
        condition = self._condition(other, "s.")
        return self._pick(
            f"{string} {self._pick('', 'NOT ')}IN (SELECT s.{theirs} FROM {other.name} AS s WHERE {condition})",
            f"EXISTS (SELECT 1 FROM {other.name} AS s WHERE s.{theirs} = {string} AND {condition})",
            f"NOT EXISTS (SELECT 1 FROM {other.name} AS s WHERE s.{theirs} = {string} AND {condition})",
            f"EXISTS (SELECT * FROM {other.name} AS s WHERE {condition})",
        )

    def _selected(self, relation: Relation, prefix: str = "") -> str:
        if self._random.random() < 0.25:
            return f"{prefix}*"
        parts = [
            self._value(relation, prefix) if self._random.random() < 0.4 else prefix + column
            for column in self._random.sample(relation.columns, min(3, len(relation.columns)))
        ]
        if relation.positions and self._random.random() < 0.2:
            parts.append(f"DISTANCE(POINT({prefix}ra, {prefix}dec), POINT(10, 20))")
        return ", ".join(parts)

    # Whole queries

    def _select(self) -> str:
        relation = self._relation()
        prefix = "t." if self._random.random() < 0.3 else ""
        head = self._pick("", "DISTINCT ", "TOP 5 ", "TOP 1 ")
        query = f"SELECT {head}{self._selected(relation, prefix)} FROM {relation.name}{' AS t' if prefix else ''}"
        if self._random.random() < 0.85:
            query += f" WHERE {self._condition(relation, prefix)}"
        if self._random.random() < 0.3:
            query += f" ORDER BY 1 {self._pick('', 'DESC')}"
            query += self._pick("", " OFFSET 3")
        return query

    def _join(self) -> str:
        left, right = self._relation(), self._relation()
        on = self._pick(
            f"a.{self._random.choice(left.strings)} = b.{self._random.choice(right.strings)}",
            f"a.{self._random.choice(left.numbers)} = b.{self._random.choice(right.numbers)}",
            f"{self._value(left, 'a.')} < {self._value(right, 'b.')}",
        )
        if left.positions and right.positions and self._random.random() < 0.4:
            on = "DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 1"
        kind = self._pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN")
        if kind == "FULL JOIN":
            on = f"a.{self._random.choice(left.strings)} = b.{self._random.choice(right.strings)}"
        if self._random.random() < 0.1:
            return f"SELECT COUNT(*) FROM {left.name} NATURAL JOIN {right.name}"
        return (
            f"SELECT {self._pick('TOP 50 ', '')}{self._selected(left, 'a.')}, {self._selected(right, 'b.')} "
            f"FROM {left.name} AS a {kind} {right.name} AS b ON {on} WHERE {self._condition(left, 'a.')}"
        )

    def _grouped(self) -> str:
        relation = self._relation()
        key = self._random.choice(relation.columns)
        value = self._value(relation, "")
        having = self._pick(
            "", " HAVING COUNT(*) > 1", f" HAVING MAX({value}) > {self._number()}", " HAVING 1 / (COUNT(*) - 1) < 5"
        )
        source = f"FROM {relation.name} WHERE {self._condition(relation)}"
        if self._random.random() < 0.5:
            return f"SELECT COUNT(*), MIN({value}), MAX({value}), AVG({value}), COUNT(DISTINCT {key}) {source}"
        return f"SELECT {key}, COUNT(*), SUM({value}) {source} GROUP BY {key}{having} ORDER BY {key}"

    def _set_operation(self) -> str:
        left, right = self._relation(), self._relation()
        operator = self._pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL")
        return (
            f"SELECT {self._random.choice(left.strings)} FROM {left.name} WHERE {self._condition(left)} {operator} "
            f"SELECT {self._random.choice(right.strings)} FROM {right.name} WHERE {self._condition(right)}"
        )

    def _common_table(self) -> str:
        relation = self._relation()
        columns = ", ".join(relation.columns)
        return (
            f"WITH w AS (SELECT {columns} FROM {relation.name} WHERE {self._condition(relation)}) "
            f"SELECT COUNT(*), MAX({self._value(relation, 'w.')}) FROM w WHERE {self._condition(relation, 'w.')}"
        )

    def _catalogue(self) -> str:
        relation = self._random.choice([COLUMNS, TABLES])
        return f"SELECT * FROM {relation.name} WHERE {self._by_string(relation, '')} ORDER BY table_name"

    def _crossmatch(self) -> str:
        relation = self._random.choice([EVENTS, KNOWN])
        return (
            f"SELECT u.name, t.event_id, {self._value(relation, 't.')} FROM tap_upload.mine AS u "
            f"{self._pick('JOIN', 'LEFT JOIN')} {relation.name} AS t ON "
            f"1 = CONTAINS(POINT(t.ra, t.dec), CIRCLE(u.ra, u.dec, {self._pick('0.5', '5', 'u.n')})) "
            f"WHERE {self._condition(relation, 't.')}"
        )

    def _broken(self) -> str:
        """What ADQL refuses: names of hidden things, and other people's tricks."""
        return self._pick(
            "SELECT _access FROM lab.events",
            'SELECT "_access" FROM lab.events',
            'SELECT "_release_time", "_qc" FROM lab.events',
            "SELECT * FROM lab.events_embargo",
            "SELECT * FROM lab.events_public",
            'SELECT * FROM "lab"."events_embargo"',
            "SELECT * FROM lab.events_observed",
            "SELECT * FROM km3vo.release_log",
            "SELECT * FROM pg_catalog.pg_class",
            "SELECT pg_sleep(5) FROM lab.events",
            "SELECT COUNT(*) FROM lab.events; SELECT 1",
            "SELECT * FROM lab.events WHERE event_id = 'x'' OR 1 = 1 --'",
            "EXPLAIN SELECT * FROM lab.events",
            "SELECT ctid FROM lab.events",
            "SELECT lab.events FROM lab.events",
            "SELECT tableoid FROM lab.events",
            "SELECT xmin, event_id FROM lab.events",
            f"SELECT nothing FROM lab.events WHERE {self._condition(EVENTS)}",
            "SELECT events_guard() FROM lab.events",
            "SELECT current_user FROM lab.events",
            "SELECT event_id::regclass FROM lab.events",
        )
