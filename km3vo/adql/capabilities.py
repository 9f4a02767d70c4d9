"""What of ADQL is there, as /capabilities declares it (ADQL 2.1 §4.1; TAPRegExt 1.0 §2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from km3vo.adql import udf

# As TAPRegExt's own record spells it. ADQL 2.1 writes it in lower case, and IVOIDs compare caselessly (Identifiers 2.0
# §2.4), as pyvo and STILTS from 3.5 on do; but TOPCAT and STILTS of Debian 12 know geometry and functions in this
# spelling only, and TOPCAT's editor underlines them otherwise.
_TYPE = "ivo://ivoa.net/std/TAPRegExt#features-"


@dataclass(frozen=True, slots=True)
class Feature:
    """One <languageFeatures>.

    Attributes:
        type: its identifier.
        forms: for each feature its form, and a description or "".
    """

    type: str
    forms: tuple[tuple[str, str], ...]


def _named(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "") for name in names)


FUNCTIONS: tuple[tuple[str, str], ...] = tuple(
    (signature.text, function.description) for function in udf.FUNCTIONS.values() for signature in function.signatures
)

FEATURES: tuple[Feature, ...] = (
    Feature(_TYPE + "udf", FUNCTIONS),
    Feature(
        _TYPE + "adqlgeo",
        _named(
            *("AREA", "BOX", "CENTROID", "CIRCLE", "CONTAINS", "COORD1", "COORD2", "COORDSYS"),
            *("DISTANCE", "INTERSECTS", "POINT", "POLYGON", "REGION"),
        ),
    ),
    Feature(_TYPE + "adql-string", _named("LOWER", "UPPER", "ILIKE")),
    Feature(_TYPE + "adql-common-table", _named("WITH")),
    Feature(_TYPE + "adql-sets", _named("UNION", "EXCEPT", "INTERSECT")),
    Feature(_TYPE + "adql-type", _named("CAST")),
    # taplint of Debian 12 calls this key an error (docs/conformance.md); STILTS 3.5 and today's TOPCAT mark COALESCE as
    # unsupported without it.
    Feature(_TYPE + "adql-conditional", _named("COALESCE")),
    Feature(_TYPE + "adql-unit", _named("IN_UNIT")),
    Feature(_TYPE + "adql-offset", _named("OFFSET")),
)
