"""Random queries, each in ADQL and as the same question to duckdb."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from tests.adql.differential import functions
from tests.adql.differential.piece import About, Piece, Query
from tests.adql.differential.sky import COLUMNS, FRAMES, ROWS, icrs

KINDS = {
    "n": "int",
    "id": "int",
    "k": "int",
    "x": "real",
    "y": "real",
    "mjd": "real",
    "ra": "real",
    "decl": "real",
    "s": "text",
}
KINDS |= {"t": "time", "flag": "truth"}


_PLAIN = {column.name: About(column.unit, column.ucd, column.frame, column.time) for column in COLUMNS}
_GALACTIC = "ivo_geom_transform('ICRS', 'GALACTIC', POINT({0}.ra, {0}.decl))"


class Grammar:
    """Makes queries by a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._names = itertools.count(1)

    def query(self) -> Query:
        """A query of any form."""
        form = self._rng.choice(["plain"] * 5 + ["group"] * 2 + ["set"] * 2 + ["distinct", "with", "top"])
        return getattr(self, f"_{form}")()

    # Forms ------------------------------------------------------------------------------------------------------------

    def _plain(self) -> Query:
        source, aliases = self._source()
        items = [self._expression(aliases) for _ in range(self._rng.randint(1, 4))]
        return self._select(items, source, aliases)

    def _select(
        self, items: Sequence[Piece], source: Piece, aliases: Sequence[str], before: str = "", after: str = ""
    ) -> Query:
        where = self._where(aliases)
        adql = ", ".join(f"{item.adql} AS c{number}" for number, item in enumerate(items))
        duck = ", ".join(f"{item.duck} AS c{number}" for number, item in enumerate(items))
        return Query(
            f"SELECT {before}{adql} FROM {source.adql}{where.adql}{after}",
            f"SELECT {before if 'TOP' not in before else ''}{duck} FROM {source.duck}{where.duck}{after}",
            tuple(item.about for item in items),
        )

    def _distinct(self) -> Query:
        source, aliases = self._source()
        return self._select([self._column(aliases, "n s t flag") for _ in range(2)], source, aliases, "DISTINCT ")

    def _top(self) -> Query:
        name, count = self._rng.choice(list(ROWS)), self._rng.randint(0, 9)
        items = [Piece("a.id", "a.id", _PLAIN["id"]), self._expression(["a"])]
        made = self._select(
            items, Piece(f"sky.{name} AS a", f"{name} AS a"), ["a"], f"TOP {count} ", " ORDER BY c0 DESC"
        )
        return replace(made, duck=f"{made.duck} LIMIT {count}")

    def _group(self) -> Query:
        source, aliases = self._source()
        keys = [self._column(aliases, "n s flag") for _ in range(self._rng.randint(0, 2))]
        keys = list({key.adql: key for key in keys}.values())
        items = [*keys, *(self._aggregate(aliases) for _ in range(self._rng.randint(1, 3)))]
        after = ""
        if keys:
            after = f" GROUP BY {', '.join(key.adql for key in keys)}"
            if self._rng.random() < 0.5:
                after += f" HAVING COUNT(*) {self._rng.choice(['>', '<=', '<>'])} {self._rng.randint(1, 4)}"
        return self._select(items, source, aliases, "", after)

    def _set(self) -> Query:
        names = self._rng.choice(["n", "n s", "id n", "s flag", "k", "t", "x n"])
        operators = ("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
        parts = []
        for _ in range(2):
            source, aliases = self._source()
            parts.append(self._select([self._column(aliases, name) for name in names.split()], source, aliases))
        operator = self._rng.choice(operators)
        abouts = tuple(
            one if one == other else None for one, other in zip(parts[0].abouts, parts[1].abouts, strict=True)
        )
        return Query(
            f"{parts[0].adql} {operator} {parts[1].adql}", f"{parts[0].duck} {operator} {parts[1].duck}", abouts
        )

    def _with(self) -> Query:
        inner = self._plain()
        names = ", ".join(f"c{number}" for number in range(len(inner.abouts)))
        return Query(
            f"WITH w AS ({inner.adql}) SELECT {names} FROM w",
            f"WITH w AS ({inner.duck}) SELECT {names} FROM w",
            inner.abouts,
        )

    # FROM and WHERE ---------------------------------------------------------------------------------------------------

    def _source(self) -> tuple[Piece, list[str]]:
        one, alias = self._table()
        if self._rng.random() < 0.4:
            return one, [alias]
        other, second = self._table()
        join = self._rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN"])
        name = self._rng.choice(["id", "n", "n", "s"])
        on = Piece(f"{alias}.{name} = {second}.{name}", f"{alias}.{name} = {second}.{name}")
        if "FULL" not in join and self._rng.random() < 0.5:  # PostgreSQL has FULL JOIN for equalities alone
            more = self._condition([alias, second], 1)
            on = Piece(f"{on.adql} AND {more.adql}", f"{on.duck} AND {more.duck}")
        return Piece(f"{one.adql} {join} {other.adql} ON {on.adql}", f"{one.duck} {join} {other.duck} ON {on.duck}"), [
            alias,
            second,
        ]

    def _table(self) -> tuple[Piece, str]:
        name, alias = self._rng.choice(list(ROWS)), f"t{next(self._names)}"
        if self._rng.random() < 0.7:
            return Piece(f"sky.{name} AS {alias}", f"{name} AS {alias}"), alias
        condition = self._condition([name], 1)
        columns = ", ".join(KINDS)
        return Piece(
            f"(SELECT {columns} FROM sky.{name} AS {name} WHERE {condition.adql}) AS {alias}",
            f"(SELECT * FROM {name} WHERE {condition.duck}) AS {alias}",
        ), alias

    def _where(self, aliases: Sequence[str]) -> Piece:
        if self._rng.random() < 0.3:
            return Piece("", "")
        return self._condition(aliases, 2).put(" WHERE {}", " WHERE {}")

    def _condition(self, aliases: Sequence[str], depth: int) -> Piece:
        if depth and self._rng.random() < 0.4:
            one, other = (self._condition(aliases, depth - 1) for _ in range(2))
            word = self._rng.choice(["AND", "OR"])
            return Piece(f"({one.adql} {word} {other.adql})", f"({one.duck} {word} {other.duck})")
        if self._rng.random() < 0.15:
            return self._condition(aliases, 0).put("NOT ({})", "NOT ({})")
        return self._rng.choice(
            [self._compared, self._compared, self._tested, self._geometric, self._region, self._subquery, self._timed]
        )(aliases)

    def _compared(self, aliases: Sequence[str]) -> Piece:
        kind = self._rng.choice(["int", "real", "real"])
        one, other = self._of(kind, aliases, 1), self._of(kind, aliases, 0)
        operator = self._rng.choice(["=", "<>", "<", ">", "<=", ">="] if kind == "int" else ["<", ">"])
        return Piece(f"{one.adql} {operator} {other.adql}", f"{one.duck} {operator} {other.duck}")

    def _tested(self, aliases: Sequence[str]) -> Piece:
        column = self._column(aliases, self._rng.choice(["n", "x", "s", "t"]))
        name = column.adql.rpartition(".")[2]
        tests = ["{} IS NULL", "{} IS NOT NULL"]
        if name in "nx":
            tests += ["{} BETWEEN 1 AND 3", "{} NOT BETWEEN 1 AND 3", "{} IN (1, 2, 7)", "{} NOT IN (1, 2)"]
        if name == "s":
            tests += ["{} LIKE 'a%'", "{} NOT LIKE '%b%'", "{} IN ('a', 'B')", "{} = 'ab'", "{} LIKE '_'"]
        test = self._rng.choice(tests)
        return column.put(test, test)

    def _geometric(self, aliases: Sequence[str]) -> Piece:
        alias, frame = self._rng.choice(aliases), self._rng.choice(list(FRAMES))
        lon, lat, radius = self._rng.randint(0, 359), self._rng.randint(-89, 89), self._rng.randint(10, 80)
        ra, dec = icrs(frame, lon, lat)
        near = f"apart({alias}.ra, {alias}.decl, {ra!r}, {dec!r})"
        point = self._rng.choice(
            [f"POINT({alias}.ra, {alias}.decl)", f"POINT('ICRS', {alias}.ra, {alias}.decl)", _GALACTIC.format(alias)]
        )
        circle = f"CIRCLE('{frame}', {lon}, {lat}, {radius})"
        if len(aliases) == 2 and self._rng.random() < 0.3:
            one, other = aliases
            return Piece(
                f"DISTANCE(POINT({one}.ra, {one}.decl), POINT({other}.ra, {other}.decl)) < {radius}",
                f"apart({one}.ra, {one}.decl, {other}.ra, {other}.decl) < {radius}",
            )
        return self._rng.choice(
            [
                Piece(f"1 = CONTAINS({point}, {circle})", f"{near} < {radius}"),
                Piece(f"0 = CONTAINS({point}, {circle})", f"NOT {near} < {radius}"),
                Piece(f"DISTANCE({point}, POINT('{frame}', {lon}, {lat})) < {radius}", f"{near} < {radius}"),
                Piece(f"1 = INTERSECTS(CIRCLE({point}, 5), {circle})", f"{near} < {radius + 5}"),
            ]
        )

    def _region(self, aliases: Sequence[str]) -> Piece:
        """A position in a polygon, a box or a MOC, or a predicate of ours."""
        names = ["POLYGON", "BOX", "MOC", "ivo_interval_overlaps", "ivo_hashlist_has", "ivo_nocasematch"]
        piece = functions.ONES[self._rng.choice(names)](self._rng, self._rng.choice(aliases))
        truth = self._rng.choice([0, 1])
        return piece.put(f"{truth} = {{}}", f"{truth} = {{}}")

    def _function(self, aliases: Sequence[str], depth: int) -> Piece:
        make = self._rng.choice(list(functions.ONES.values()))
        return make(self._rng, self._rng.choice(aliases))

    def _subquery(self, aliases: Sequence[str]) -> Piece:
        name, alias, outer = self._rng.choice(list(ROWS)), f"t{next(self._names)}", self._rng.choice(aliases)
        inner = self._condition([alias], 0) if self._rng.random() < 0.7 else Piece("1 = 1", "1 = 1")
        adql, duck = f"FROM sky.{name} AS {alias} WHERE {inner.adql}", f"FROM {name} AS {alias} WHERE {inner.duck}"
        word = self._rng.choice(["", "NOT "])
        if self._rng.random() < 0.5:
            return Piece(
                f"{outer}.n {word}IN (SELECT {alias}.n {adql})", f"{outer}.n {word}IN (SELECT {alias}.n {duck})"
            )
        match = f"AND {alias}.n = {outer}.n"
        return Piece(
            f"{word}EXISTS (SELECT {alias}.id {adql} {match})", f"{word}EXISTS (SELECT {alias}.id {duck} {match})"
        )

    def _timed(self, aliases: Sequence[str]) -> Piece:
        alias, hours = self._rng.choice(aliases), self._rng.randint(0, 2800)
        moment = f"2021-{1 + hours // 720:02}-{1 + hours % 28:02}T{hours % 24:02}:00:00"
        operator = self._rng.choice(["<", ">="])
        if self._rng.random() < 0.5:
            return Piece(f"{alias}.t {operator} '{moment}'", f"{alias}.t {operator} TIMESTAMP '{moment}'")
        day = 59215 + hours / 24
        return Piece(
            f"ivo_to_mjd({alias}.t) {operator} {day!r}", f"epoch_us({alias}.t) / 86400e6 + 40587 {operator} {day!r}"
        )

    # Expressions ------------------------------------------------------------------------------------------------------

    def _column(self, aliases: Sequence[str], names: str) -> Piece:
        name = self._rng.choice(names.split())
        written = f"{self._rng.choice(aliases)}.{name}"
        return Piece(written, written, _PLAIN[name])

    def _expression(self, aliases: Sequence[str]) -> Piece:
        kind = self._rng.choice(["column", "int", "real", "text", "sky", "time", "function", "function"])
        if kind == "column":
            return self._column(aliases, " ".join(KINDS))
        return self._of(kind, aliases, 2)

    def _of(self, kind: str, aliases: Sequence[str], depth: int) -> Piece:
        return getattr(self, f"_{kind}")(aliases, depth)

    def _int(self, aliases: Sequence[str], depth: int) -> Piece:
        if depth == 0:
            number = str(self._rng.randint(-3, 5))
            return self._rng.choice([self._column(aliases, "n id"), Piece(f"({number})", f"({number})")])
        one, other = self._int(aliases, depth - 1), self._int(aliases, 0)
        divisor = self._rng.choice([2, 3, 7])
        return self._rng.choice(
            [
                *(Piece(f"({one.adql} {op} {other.adql})", f"({one.duck}::BIGINT {op} {other.duck})") for op in "+-*"),
                one.put("ABS({})", "abs({}::BIGINT)"),
                one.put(f"MOD({{}}, {divisor})", f"({{}} % {divisor})"),
                one.put(f"({{}} / {divisor})", f"trunc({{}}::DOUBLE / {divisor})::BIGINT"),
                Piece(f"COALESCE({one.adql}, {other.adql}, 9)", f"coalesce({one.duck}, {other.duck}, 9)"),
                functions.healpix_index(self._rng, self._rng.choice(aliases)),
            ]
        )

    def _real(self, aliases: Sequence[str], depth: int) -> Piece:
        if depth == 0:
            number = repr(self._rng.randint(-40, 40) / 8)
            return self._rng.choice(
                [self._column(aliases, "x x y mjd ra"), Piece(f"({number})", f"({number})::DOUBLE")]
            )
        one, other = self._real(aliases, depth - 1), self._real(aliases, 0)
        return self._rng.choice(
            [
                *(
                    Piece(f"({one.adql} {op} {other.adql})", f"({one.duck}::DOUBLE {op} {other.duck}::DOUBLE)")
                    for op in "+-*"
                ),
                one.put("ABS({})", "abs({})"),
                one.put("SQRT(ABS({}))", "sqrt(abs({}::DOUBLE))"),
                one.put("({} / 4)", "({} / 4)"),
                one.put("FLOOR({})", "floor({})"),
                one.put("SIN({})", "sin({}::DOUBLE)"),
                Piece(f"COALESCE({one.adql}, {other.adql})", f"coalesce({one.duck}::DOUBLE, {other.duck}::DOUBLE)"),
                self._int(aliases, 1).put("({} * 0.5)", "({}::DOUBLE * 0.5)"),
            ]
        )

    def _text(self, aliases: Sequence[str], depth: int) -> Piece:
        column = self._column(aliases, "s")
        return self._rng.choice(
            [
                column.put("UPPER({})", "upper({})"),
                column.put("LOWER({})", "lower({})"),
                column.put("({} || '-x')", "({} || '-x')"),
                column.put("COALESCE({}, 'none')", "coalesce({}, 'none')"),
            ]
        )

    def _sky(self, aliases: Sequence[str], depth: int) -> Piece:
        alias, frame = self._rng.choice(aliases), self._rng.choice(list(FRAMES))
        lon, lat = self._rng.randint(0, 359), self._rng.randint(-89, 89)
        ra, dec = icrs(frame, lon, lat)
        galactic = _GALACTIC.format(alias)
        return self._rng.choice(
            [
                Piece(f"COORD1({galactic})", f"{alias}.gl", About("deg", "pos.galactic.lon", "GALACTIC")),
                Piece(f"COORD2({galactic})", f"{alias}.gb", About("deg", "pos.galactic.lat", "GALACTIC")),
                Piece(f"COORD1(POINT({alias}.ra, {alias}.decl))", f"{alias}.ra", About("deg", "pos.eq.ra", "ICRS")),
                Piece(
                    f"DISTANCE({galactic}, POINT('{frame}', {lon}, {lat}))",
                    f"apart({alias}.ra, {alias}.decl, {ra!r}, {dec!r})",
                ),
                Piece(
                    f"CONTAINS(POINT({alias}.ra, {alias}.decl), CIRCLE('{frame}', {lon}, {lat}, 50))",
                    f"(apart({alias}.ra, {alias}.decl, {ra!r}, {dec!r}) < 50)::INT",
                ),
            ]
        )

    def _time(self, aliases: Sequence[str], depth: int) -> Piece:
        column = self._column(aliases, "t")
        return self._rng.choice(
            [
                functions.to_mjd(self._rng, self._rng.choice(aliases)),
                functions.to_jd(self._rng, self._rng.choice(aliases)),
                column.put("COALESCE({}, {})".replace("{}", "{0}"), "{}", _PLAIN["t"]),
            ]
        )

    def _aggregate(self, aliases: Sequence[str]) -> Piece:
        if self._rng.random() < 0.25:
            return self._rng.choice(list(functions.AGGREGATES.values()))(self._rng, self._rng.choice(aliases))
        column = self._column(aliases, "n x k mjd")
        name = column.adql.rpartition(".")[2]
        unit = _PLAIN[name].unit
        word = self._rng.choice(["COUNT", "COUNT(DISTINCT", "SUM", "AVG", "MIN", "MAX", "*"])
        if word == "*":
            return Piece("COUNT(*)", "count(*)", About(None, "meta.number"))
        if word.startswith("COUNT"):
            opening = "COUNT(" if word == "COUNT" else "COUNT(DISTINCT "
            return column.put(f"{opening}{{}})", f"{opening}{{}})", About(None, "meta.number"))
        ucd = f"{_PLAIN[name].ucd};stat.{word.lower()}" if word in ("MIN", "MAX") and _PLAIN[name].ucd else None
        known = About(unit, ucd, None, _PLAIN[name].time) if word in ("MIN", "MAX") and ucd else None
        return column.put(f"{word}({{}})", f"{word}({{}})", known)
