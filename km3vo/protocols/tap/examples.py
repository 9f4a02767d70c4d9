"""DALI examples: the queries of schemas/*.yaml as an XHTML page with RDFa, for people and for TOPCAT's Examples menu.

RDFa Lite as DALI 1.1 §2.3 has it: a vocabulary for the page, a resource for each example, and plain text in what
carries a property.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlencode

from fastapi import APIRouter
from lxml import etree
from lxml.builder import ElementMaker
from starlette.requests import Request
from starlette.responses import Response

from km3vo.adql import QueryTables, translate
from km3vo.catalog.model import Catalog, Example
from km3vo.protocols.http.documents import respond
from km3vo.service import Service

VOCABULARY = "http://www.ivoa.net/rdf/examples#"
XHTML = "http://www.w3.org/1999/xhtml"
TITLE = "Queries to begin with"

html = ElementMaker(namespace=XHTML, nsmap={None: XHTML})


def examples_document(catalog: Catalog, sources: QueryTables) -> bytes:
    """The page with every example of the catalogue; ``sources`` tell which tables a query reads."""
    main = html.main(
        html.h1(TITLE),
        html.p("Each runs as it stands, here or in any TAP client; in TOPCAT they are in the menu Examples."),
        id="main",
    )
    body = html.body(
        html.header(html.p(html.a("All data", href="/"), ", ", html.a("Write a query", href="/query"))),
        main,
        vocab=VOCABULARY,
    )
    taken: set[str] = set()
    for schema in catalog.schemas:
        if schema.examples:
            main.append(html.h2(schema.title))
            main.extend(_example(example, _identifier(example.name, taken), sources) for example in schema.examples)
    head = html.head(
        html.title(TITLE),
        html.meta(name="viewport", content="width=device-width, initial-scale=1"),
        html.link(rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        html.link(rel="stylesheet", href="/static/style.css"),
    )
    page = html.html(head, body, lang="en")
    return bytes(etree.tostring(page, xml_declaration=True, encoding="UTF-8", doctype="<!DOCTYPE html>"))


def _example(example: Example, identifier: str, sources: QueryTables) -> etree._Element:
    tables = sorted(".".join(name) for name in translate(example.query, sources).tables)
    query = example.query.strip()
    return html.div(
        html.h3(example.name, property="name"),
        html.p(example.description),
        # Who has no mouse scrolls a long line with the arrow keys.
        html.pre(query, property="query", tabindex="0"),
        html.p(
            "Reads ",
            *_listed(html.span(table, property="table") for table in tables),
            ". ",
            html.a("Run it", href="sync?" + urlencode({"LANG": "ADQL", "FORMAT": "html", "QUERY": query})),
        ),
        id=identifier,
        resource=f"#{identifier}",
        typeof="example",
    )


def _listed(elements: Iterable[etree._Element]) -> list[etree._Element]:
    """The elements with commas between."""
    found = list(elements)
    for element in found[:-1]:
        element.tail = ", "
    return found


def _identifier(name: str, taken: set[str]) -> str:
    """An XML name made of an example's own."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    identifier = base if base[:1].isalpha() else f"example-{base}"
    while identifier in taken:
        identifier += "-x"
    taken.add(identifier)
    return identifier


def router(running: Service, prefix: str, banner: Callable[[Request, bool], str]) -> APIRouter:
    """The examples of the TAP service at ``prefix``; ``banner`` says who looks at them."""
    routes = APIRouter(prefix=prefix, tags=["TAP"])
    document = examples_document(running.published, running.sources["public"])

    @routes.get("/examples", summary="Queries to begin with", response_class=Response)
    async def examples(request: Request) -> Response:
        told = f"<header>{banner(request, False)}".encode()
        return respond(request, document.replace(b"<header>", told, 1), "application/xhtml+xml")

    return routes
