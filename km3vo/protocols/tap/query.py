"""A TAP query as its parameters say it, the same for /sync and /async (TAP 1.1 §2.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from km3vo.errors import ParameterError, TooLargeError
from km3vo.protocols.dali.parameters import Parameters
from km3vo.protocols.tap.upload import Reference, options, references
from km3vo.readers.opened import Options
from km3vo.results import formats
from km3vo.results.formats import Format
from km3vo.settings import Limits

STANDARD = "ivo://ivoa.net/std/TAP"
# LANG, as declared in the capabilities → the version of ADQL to read (TAP 1.1 §2.7.1).
LANGUAGES = {"ADQL": "2.1", "ADQL-2.0": "2.0", "ADQL-2.1": "2.1"}
RUNID_LENGTH = 64
_VERSION = re.compile(r"1(\.[0-9]+)?|")


@dataclass(frozen=True, slots=True)
class TapQuery:
    """A TAP query, validated: what to run, and how to answer; ``known`` is what is known of its uploads, by name."""

    adql: str
    version: str
    maxrec: int
    format: Format
    runid: str
    uploads: tuple[Reference, ...]
    known: Mapping[str, Options]


def read(limits: Limits, parameters: Parameters, accept: str = "") -> TapQuery:
    """The query in a request's parameters; ``accept`` is its header of that name.

    Raises:
        ParameterError: a parameter is missing, given twice, or not understood.
        TooLargeError: the query is too long.
    """
    language = parameters.one("LANG").strip().upper()
    if not language:
        raise ParameterError("LANG is missing: add LANG=ADQL")  # which clients must give (TAP 1.1 §2.7.1)
    if language not in LANGUAGES:
        raise ParameterError(f"unknown query language {language[:40]}: LANG is one of {', '.join(LANGUAGES)}")
    adql = parameters.one("QUERY")
    if not adql.strip():
        raise ParameterError("QUERY is missing: give a query in ADQL, such as SELECT TOP 5 * FROM tap_schema.tables")
    if len(adql) > limits.query_length:
        raise TooLargeError(f"the query has {len(adql)} characters; the limit is {limits.query_length}")
    if not _VERSION.fullmatch(version := parameters.one("VERSION", "1.1").strip()):
        raise ParameterError(f"VERSION={version[:40]} is not a version of TAP that is known here: leave it out")
    runid = parameters.one("RUNID")
    if len(runid) > RUNID_LENGTH:
        raise ParameterError(f"RUNID has {len(runid)} characters; the limit is {RUNID_LENGTH}")
    uploads = references(parameters)
    return TapQuery(
        adql=adql,
        version=LANGUAGES[language],
        maxrec=parameters.maxrec(limits.maxrec, limits.maxrec_hard),
        format=parameters.format(formats.accepted(accept)),
        runid=runid,
        uploads=uploads,
        known=options(parameters, uploads),
    )
