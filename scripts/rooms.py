"""Draws docs/rooms.svg: the rooms of km3vo/, layer by layer, and which imports which. `make docs` runs it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
from lxml import etree

ROOT = Path(__file__).parent.parent
SVG = "http://www.w3.org/2000/svg"
EVERYWHERE = {"column", "datatypes", "errors", "settings", "terminal", "times"}  # what most rooms import
WIDTH, HIGH, WIDE, LAYER = 760, 30, 104, 58  # of the picture, of a room, and from layer to layer


def layers(contract: dict[str, list[str]], rooms: set[str]) -> list[list[str]]:
    """The rooms that there are, from top to bottom."""
    named = [[name.strip(" ()") for name in layer.replace("|", ":").split(":")] for layer in contract["layers"]]
    return [present for layer in named if (present := [name for name in layer if name in rooms])]


def imports(graph: grimp.ImportGraph, rows: list[list[str]]) -> dict[str, set[str]]:
    """Room → rooms that it imports. Not those above, which are still to be turned round."""
    depth = {room: index for index, row in enumerate(rows) for room in row}
    found: dict[str, set[str]] = {room: set() for room in depth}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if "." in importer and "." in imported:
                above, below = importer.split(".")[1], imported.split(".")[1]
                if depth[above] < depth[below] and below not in EVERYWHERE:
                    found[above].add(below)
    return found


def needed(found: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """The arrows, without those that a longer way says too."""

    def reached(room: str) -> set[str]:
        return found[room].union(*map(reached, found[room]))

    for room, below in sorted(found.items()):
        further = {far for other in below for far in reached(other)}
        yield from ((room, other) for other in sorted(below - further))


def picture() -> str:
    """The picture, as text."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    graph = grimp.build_graph("km3vo", cache_dir=None)
    rows = layers(contract, {child.split(".")[1] for child in graph.find_children("km3vo")})
    height = len(rows) * LAYER + 10
    place = {
        room: (WIDTH * (number + 1) / (len(row) + 1) + (-90, 30, 90)[index % 3] * (len(row) == 1), index * LAYER + 10)
        for index, row in enumerate(rows)
        for number, room in enumerate(row)
    }
    svg = etree.Element("svg", nsmap={None: SVG}, viewBox=f"0 0 {WIDTH} {height}", width=str(WIDTH), height=str(height))
    etree.SubElement(svg, "title").text = "The rooms of km3vo and which imports which"
    marker = etree.SubElement(
        svg,
        "marker",
        id="arrow",
        viewBox="0 0 8 8",
        refX="8",
        refY="4",
        markerWidth="7",
        markerHeight="7",
        orient="auto",
    )
    etree.SubElement(marker, "path", d="M0 0L8 4L0 8z", fill="#68809a")
    for above, below in needed(imports(graph, rows)):
        (x, y), (to, end) = place[above], place[below]
        bend = (end - y - HIGH) / 2
        line = f"M{x:.0f} {y + HIGH}C{x:.0f} {y + HIGH + bend:.0f} {to:.0f} {end - bend:.0f} {to:.0f} {end}"
        etree.SubElement(
            svg, "path", attrib={"d": line, "fill": "none", "stroke": "#68809a", "marker-end": "url(#arrow)"}
        )
    for room, (x, y) in place.items():
        left = {"x": f"{x - WIDE / 2:.0f}", "y": str(y), "width": str(WIDE), "height": str(HIGH), "rx": "6"}
        etree.SubElement(svg, "rect", attrib=left | {"fill": "#eaf1f8", "stroke": "#274b6d"})
        text = {"x": f"{x:.0f}", "y": str(y + 20), "text-anchor": "middle", "font-size": "14", "fill": "#12283c"}
        etree.SubElement(svg, "text", attrib=text | {"font-family": "sans-serif"}).text = room
    etree.indent(svg)
    return etree.tostring(svg, encoding="unicode") + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "rooms.svg").write_text(picture())
