"""Error messages: where, what was expected, and what to write instead."""

from __future__ import annotations

import pytest

from km3vo.adql import QueryTables, translate
from km3vo.errors import AdqlError


def _error(text: str, sources: QueryTables) -> AdqlError:
    with pytest.raises(AdqlError) as caught:
        translate(text, sources)
    return caught.value


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("SELECT ra FROM events LIMIT 5", (1, 23), "TOP n"),
        ("SELECT ra\nFROM events\nLIMIT 5 OFFSET 3", (3, 1), "TOP n"),
        ("SELECT ra FROM events FETCH FIRST 5 ROWS ONLY", (1, 23), "TOP n"),
        ("SELECT ra FROM events; SELECT dec FROM events", (1, 22), "no semicolons"),
        ("SELECT ra FROM events WHERE ra == 5", (1, 33), "= for equal"),
        ("SELECT ra FROM events WHERE !good", (1, 29), "<> or !="),
        ("SELECT `ra` FROM events", (1, 8), "double quotes"),
        ("SELECT ra::integer FROM events", (1, 10), "CAST(x AS"),
        ("SELECT ra % 2 FROM events", (1, 11), "MOD(a, b)"),
        ("SELECT ra FROM events WHERE detector = ‘ORCA’", (1, 40), "plain '"),
        ("SELECT ra FROM events WHERE detector = “ORCA”", (1, 40), "'text' for a string"),
        ("SELECT ra − dec FROM events", (1, 11), "plain -"),
        ('SELECT ra FROM events WHERE detector = "ORCA"', (1, 40), "strings in single quotes"),
        ("SELECT ra FROM events 'e'", (1, 23), "names go in double quotes"),
        ("SELECT ra AS date FROM events", (1, 14), 'write "date"'),
        ("SELECT size FROM events", (1, 8), 'write "size"'),
        ("SELECT distance FROM events", (1, 8), "DISTANCE(...)"),
        ("SELECT ra FORM events", (1, 16), "did you mean FROM?"),
        ("SELCT ra FROM events", (1, 1), "did you mean SELECT?"),
        ("SELECT ra FROM events WEHRE ra > 1", (1, 29), "did you mean WHERE?"),
        ("SELECT ra FROM events ORDER ra", (1, 29), ""),
        ("SELECT ra FROM events WHERE CONTAINS(POINT(ra,dec), CIRCLE(1,2,3))", (1, 29), "1 = CONTAINS(...)"),
        ("SELECT ra FROM events WHERE ra = 5 AND", (1, 39), ""),
        ("SELECT ra FROM event", (1, 16), "did you mean events?"),
        ("SELECT ra FROM km3nett.events", (1, 16), "did you mean km3net.events?"),
        ("SELECT rra FROM events", (1, 8), "did you mean ra?"),
        ('SELECT q.delta FROM (SELECT dec AS "Delta" FROM events) q', (1, 8), 'did you mean "Delta"?'),
        ('SELECT Delta FROM (SELECT dec AS "Delta" FROM events) q', (1, 8), 'did you mean "Delta"?'),
        ("SELECT events.rra FROM events", (1, 8), "did you mean ra?"),
        ("SELECT e.ra FROM events", (1, 8), "km3net.events"),
        ("SELECT ra FROM events a, events b", (1, 8), "a.ra or b.ra"),
        ("SELECT ra FROM events, events", (1, 24), "another name with AS"),
        ("SELECT SQRRT(ra) FROM events", (1, 8), "did you mean SQRT?"),
        ("SELECT ivo_healpix(5, ra, dec) FROM events", (1, 8), "IVO_HEALPIX_"),
        ("SELECT ivo_to_mjd(ra) FROM events", (1, 19), "ivo_to_mjd(d TIMESTAMP)"),
        ("SELECT ivo_to_mjd() FROM events", (1, 8), "ivo_to_mjd(d TIMESTAMP)"),
        ("SELECT ra FROM events WHERE detector > 5", (1, 40), "without quotes"),
        ("SELECT IN_UNIT(ra, 'degg') FROM events", (1, 20), "did you mean deg?"),
        ("SELECT ra, COUNT(*) FROM events", (1, 8), "GROUP BY"),
        ("SELECT ra FROM events WHERE AVG(ra) > 1", (1, 29), "HAVING"),
        ("SELECT ra FROM (SELECT ra FROM events)", (1, 16), "AS q"),
        ("SELECT ra FROM events CROSS JOIN events", (1, 23), "FROM a, b"),
        ("UPDATE events SET ra = 1", (1, 1), "not change"),
        ("WITH a AS (SELECT * FROM events) SELECT * FROM b", (1, 48), ""),
        ("SELECT /* x */ ra FROM events", (1, 8), "--"),
        ("SELECT ra FROM events WHERE obs_time > '1st May'", (1, 40), "'2025-01-31'"),
        ("SELECT CASE WHEN ra > 1 THEN 2 END FROM events", (1, 8), "COALESCE"),
        ("SELECT ra FROM events OFFSET 1 OFFSET 2", (1, 32), ""),
        ("DELETE FROM events", (1, 1), "not change"),
        ("SELECT ra FROM events WHERE ra => 1", (1, 33), ">="),
        ("SELECT ra FROM events WHERE ra =< 1", (1, 33), "<="),
        ("SELECT ra FROM events // all", (1, 23), ""),
        ("SELECT ra / / dec FROM events", (1, 13), "begin with --"),
        ("SELECT ra FROM events OFFSET 5 ORDER BY ra", (1, 32), "before OFFSET"),
        ("SELECT ra FROM events ORDER BY ra UNION SELECT dec FROM events", (1, 35), "in parentheses"),
        ("SELECT TOP 5 DISTINCT ra FROM events", (1, 14), "before TOP"),
        ("SELECT ra FROM events WHERE ra > ALL (SELECT dec FROM events)", (1, 34), "EXISTS"),
        ("SELECT SUBSTRING(detector, 1, 2) FROM events", (1, 8), "no function SUBSTRING"),
        ("SELECT ra FROM events WHERE AND ra = 1", (1, 29), ""),
        ("SELECT MAX(ra, dec) FROM events", (1, 14), ""),
    ],
)
def test_the_place_and_the_hint(sky_sources: QueryTables, text: str, place: tuple[int, int], hint: str) -> None:
    error = _error(text, sky_sources)
    assert (error.line, error.column) == place, str(error)
    assert hint in error.hint, str(error)


def test_the_line_is_shown_with_a_caret_under_the_place(sky_sources: QueryTables) -> None:
    error = _error("SELECT ra,\n\trra\nFROM events", sky_sources)
    assert error.excerpt == "   rra\n   ^^^"
    assert str(error).splitlines() == [
        "there is no column rra (line 2, column 2)",
        "   rra",
        "   ^^^",
        "Hint: did you mean ra?",
    ]


def test_long_lines_are_cut_around_the_place(sky_sources: QueryTables) -> None:
    error = _error("SELECT " + "ra, " * 1000 + "rra FROM events", sky_sources)
    shown, caret = error.excerpt.splitlines()
    assert len(shown) < 120 and shown[caret.index("^") :].startswith("rra")


def test_what_would_have_been_right_is_listed_in_adqls_words(sky_sources: QueryTables) -> None:
    assert "expected BY" in _error("SELECT ra FROM events GROUP ra", sky_sources).message
    assert "or a name" in _error("SELECT ra FROM", sky_sources).message
    assert "expected ON or USING" in _error("SELECT 1 FROM events a JOIN events b", sky_sources).message
    assert "the query ends here" in _error("SELECT ra FROM events WHERE ra >", sky_sources).message


def test_no_message_speaks_of_the_database(sky_sources: QueryTables) -> None:
    for text in (
        "SELECT _pos FROM events",
        'SELECT "_pos" FROM events',
        "SELECT ctid FROM events",
        "SELECT 1 FROM pg_class",
    ):
        shown = str(_error(text, sky_sources)).lower()
        assert "postgres" not in shown and "spoint" not in shown and "events_public" not in shown
