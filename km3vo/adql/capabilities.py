"""What of ADQL is there, as /capabilities declares it (ADQL 2.1 §4.1; TAPRegExt 1.0 §2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from km3vo.adql import udf

# ADQL 2.1 wants these identifiers in lower case.
_TYPE = "ivo://ivoa.net/std/tapregext#features-"


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
    (signature, function.description) for function in udf.FUNCTIONS.values() for signature in function.signatures
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
    Feature(_TYPE + "adql-conditional", _named("COALESCE")),
    Feature(_TYPE + "adql-unit", _named("IN_UNIT")),
    Feature(_TYPE + "adql-offset", _named("OFFSET")),
)
