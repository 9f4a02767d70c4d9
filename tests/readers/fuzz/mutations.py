"""Ways to damage a file: bytes, headers, cells."""

from __future__ import annotations

import random
import re

_WORDS = """
nan NaN -NaN inf -Infinity 1e400 -1e400 1e-400 12.0 12.5 1,5 1.5D+03 0x1F 0x +5 --5 00123 1_000 1e3 12abc abc 1. .5 . -
-129 256 -32769 65536 2147483648 -2147483649 9223372036854775808 -9223372036854775809 9007199254740993 3.5e38 T F t f
true False yes 2 -1 ? NULL null None NA ١٢ 2025-02-30T00:00:00 2016-12-31T23:59:60 2025-03-01T12:00:00+01:00 2025-03-01
2025-03-01T25:00:00 60000.5 12:30:45 1|2 1;2 [1,2] [] {} " "" '' &amp; &#0; <TD/> é 🔭
"""
TOKENS = [*_WORDS.split(), "", " ", "1 2", " 5 ", "\t", "\n", "\r\n", "\0", "ÿ", "\u2028"]
TOKENS += ["x" * 2000, "9" * 400, "0." + "1" * 400, '"a\nb"', "a,b"]

_HEADERS = {
    "votable": rb'(?:datatype|arraysize|xtype|unit|ucd|ref|ID|value|null|system|timescale|timeorigin)="([^"]*)"',
    "fits": rb"(?:TFORM|TDIM|TNULL|TSCAL|TZERO|TUNIT|TTYPE|NAXIS|BITPIX|PCOUNT|TFIELDS)\d* *= *('[^']*'|[^ /]+)",
    "ecsv": rb"(?:name|datatype|subtype|unit|delimiter)['\"]?: *([^,}\n]+)",
}
_VALUES = {
    "votable": """int short long double float char unicodeChar boolean unsignedByte bit 2 * 3* 2x3 2x* -1 999999999
        1x999999999 timestamp point rad TeV furlong TDB TAI GALACTIC FK4 0 -32768 base64 gzip OVERFLOW ERROR 1.1""",
    "fits": """'1J' '1I' '2D' 'D' '1PE(3)' '1QD(1)' '99999A' 'L' '1X' 'M' '(2,3)' '(-1)' '(3)' 0 1 -1 2 8 99999999
        9999999999999 0.1 1E300 NaN T 'rad' 'x' ''""",
    "ecsv": """int8 uint8 int16 int32 int64 uint64 float32 float64 string bool object complex128 int32[2]
        float64[null] json rad furlong ',' ';' x {} [1,2]""",
}


def mutated(content: bytes, kind: str, rng: random.Random) -> bytes:
    """The file with one to three changes of any kind."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(_WAYS)(content, kind, rng)
    return content


def _flipped(content: bytes, kind: str, rng: random.Random) -> bytes:
    raw = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if raw:
            place = rng.randrange(len(raw))
            raw[place] = rng.choice((raw[place] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255))
    return bytes(raw)


def _moved(content: bytes, kind: str, rng: random.Random) -> bytes:
    """Some bytes taken out, doubled, or put elsewhere; or the end cut off."""
    start = rng.randrange(len(content) + 1)
    size = rng.choice((1, 2, 4, 8, 80, 2880, rng.randrange(1, 200)))
    part, rest = content[start : start + size], content[:start] + content[start + size :]
    place = rng.randrange(len(rest) + 1)
    return rng.choice(
        (rest, content[:start] + part + content[start:], rest[:place] + part + rest[place:], content[:start])
    )


def _header(content: bytes, kind: str, rng: random.Random) -> bytes:
    if kind not in _HEADERS:
        return _flipped(content, kind, rng)
    places = [match.span(1) for match in re.finditer(_HEADERS[kind], content[:60_000])]
    if not places:
        return _flipped(content, kind, rng)
    start, stop = rng.choice(places)
    value = rng.choice(_VALUES[kind].split()).encode()
    if kind == "fits":  # a card keeps its length
        card = start // 80 * 80
        line = (content[card:start] + value)[:80].ljust(80)
        return content[:card] + line + content[card + 80 :]
    return content[:start] + value + content[stop:]


_CELLS = {
    "votable": rb"<TD>([^<]*)</TD>",
    "csv": rb'(?:^|(?<=[,;\n]))("(?:[^"]|"")*"|[^,;\r\n"]*)(?=[,;\r\n]|$)',
    "tsv": rb"(?:^|(?<=[\t\n]))([^\t\r\n]*)(?=[\t\r\n]|$)",
    "ecsv": rb'(?:(?<=[, \n]))("(?:[^"]|"")*"|[^, \r\n"]+)(?=[, \r\n]|$)',
}


def _cell(content: bytes, kind: str, rng: random.Random) -> bytes:
    if kind not in _CELLS:
        return _flipped(content, kind, rng)
    start = content.rfind(b"\n#") + 1 if kind == "ecsv" else 0
    places = [match.span(1) for match in re.finditer(_CELLS[kind], content[start:])]
    if not places:
        return _flipped(content, kind, rng)
    first, last = rng.choice(places)
    token = rng.choice(TOKENS).encode()
    if rng.random() < 0.1:
        token = content[start + first : start + last] + token
    return content[: start + first] + token + content[start + last :]


_WAYS = (_flipped, _moved, _header, _header, _cell, _cell)
