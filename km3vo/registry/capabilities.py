"""What a service can do: the capabilities documents of VOSI 1.1 §2, and the same elements in registry records."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from km3vo import adql
from km3vo.catalog.model import Catalog
from km3vo.holdings.coverage import Coverage
from km3vo.registry.elements import TYPE, document, plain, root
from km3vo.results import formats
from km3vo.settings import Settings

OBSCORE = "ivo://ivoa.net/std/ObsCore#core-1.1"
TEST_RADIUS = "1"  # degrees: covers a HEALPix pixel of order 6, see holdings/coverage.py


def interface(url: str, *, kind: str = "vs:ParamHTTP", use: str = "full", **attributes: str) -> etree._Element:
    """An interface with its access URL (VOResource 1.1 §2.2.2)."""
    return plain.interface(plain.accessURL(url, use=use), {TYPE: kind}, **attributes)


def with_password(element: etree._Element) -> etree._Element:
    """An interface to which members may send a token as password (identity/); one method each (VOResource 1.1)."""
    element.append(plain.securityMethod(standardID="ivo://ivoa.net/sso#BasicAA"))
    return element


def standard_capabilities(base: str) -> list[etree._Element]:
    """The VOSI resources beside a service at ``base``."""
    return [
        plain.capability(interface(f"{base}/{path}"), standardID=f"ivo://ivoa.net/std/VOSI#{name}")
        for name, path in (("capabilities", "capabilities"), ("availability", "availability"), ("tables-1.1", "tables"))
    ]


def tap_capabilities(settings: Settings, base: str, catalog: Catalog) -> list[etree._Element]:
    """All capabilities of the TAP service at ``base``, in its own document and in the registry."""
    examples = plain.capability(interface(f"{base}/examples"), standardID="ivo://ivoa.net/std/DALI#examples")
    return [*standard_capabilities(base), examples, tap_capability(settings, base, catalog)]


def tap_capability(settings: Settings, base: str, catalog: Catalog) -> etree._Element:
    """The TAP service's own capability, with its real limits (TAPRegExt 1.0)."""
    limits = settings.limits
    access = interface(base, use="base", role="std", version="1.1")
    # The same address, so without a role: validators want exactly one standard interface (taplint W_CPI2).
    known = with_password(interface(base, use="base", version="1.1"))
    capability = plain.capability(access, known, {TYPE: "tr:TableAccess"}, standardID="ivo://ivoa.net/std/TAP")
    if any(table.utype == OBSCORE for table in catalog.tables):
        capability.append(plain.dataModel("ObsCore-1.1", {"ivo-id": OBSCORE}))
    language = plain.language(
        plain.name("ADQL"),
        plain.version("2.0", {"ivo-id": "ivo://ivoa.net/std/ADQL#v2.0"}),
        plain.version("2.1", {"ivo-id": "ivo://ivoa.net/std/ADQL#v2.1"}),
        plain.description("ADQL 2.0 and 2.1"),
    )
    for feature in adql.FEATURES:
        features = plain.languageFeatures(type=feature.type)
        for name, description in feature.forms:
            item = plain.feature(plain.form(name))
            if description:
                item.append(plain.description(description))
            features.append(item)
        language.append(features)
    capability.append(language)
    for form in formats.FORMATS:
        attributes = {"ivo-id": form.ivo_id} if form.ivo_id else {}
        capability.append(
            plain.outputFormat(plain.mime(form.mime), *(plain.alias(alias) for alias in form.aliases), attributes)
        )
    for method in ("inline", "http", "https"):
        capability.append(plain.uploadMethod({"ivo-id": f"ivo://ivoa.net/std/TAPRegExt#upload-{method}"}))
    days = 24 * 3600
    capability.append(
        plain.retentionPeriod(
            plain.default(str(int(limits.retention_days * days))),
            plain.hard(str(int(limits.retention_days_hard * days))),
        )
    )
    capability.append(
        plain.executionDuration(plain.default(str(limits.async_seconds)), plain.hard(str(limits.async_seconds_hard)))
    )
    capability.append(
        plain.outputLimit(
            plain.default(str(limits.maxrec), unit="row"), plain.hard(str(limits.maxrec_hard), unit="row")
        )
    )
    rows = str(limits.upload_rows)
    capability.append(plain.uploadLimit(plain.default(rows, unit="row"), plain.hard(rows, unit="row")))
    return capability


def cone_capabilities(settings: Settings, base: str, found: Coverage | None) -> list[etree._Element]:
    """All capabilities of the cone search at ``base``, in its own document and in the registry."""
    return [*standard_capabilities(base), cone_capability(settings, base, found)]


def cone_capability(settings: Settings, url: str, coverage: Coverage | None) -> etree._Element:
    """A cone search's own capability (SimpleDALRegExt 1.2 §3.1); its test query is made where there are public rows."""
    capability = plain.capability(
        interface(f"{url}?", use="base", role="std"),
        with_password(interface(f"{url}?", use="base", role="std")),
        {TYPE: "cs:ConeSearch"},
        standardID="ivo://ivoa.net/std/ConeSearch",
    )
    for name, value in (
        ("maxSR", f"{settings.limits.cone_maxsr:g}"),
        ("maxRecords", str(settings.limits.cone_maxrec)),
        ("verbosity", "true"),
    ):
        capability.append(plain(name, value))
    if coverage and coverage.ra is not None and coverage.dec is not None:
        ra, dec = str(coverage.ra), str(coverage.dec)
        capability.append(plain.testQuery(plain.ra(ra), plain.dec(dec), plain.sr(TEST_RADIUS)))
    return capability


def capabilities(items: Iterable[etree._Element]) -> bytes:
    """The capabilities document (VOSI 1.1 §2)."""
    top = root("vosi", "capabilities", "vr", "vs", "tr", "cs")
    top.extend(items)
    return document(top)
