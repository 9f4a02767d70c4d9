"""Writes the parts of docs/ that follow from the code: settings, commands, endpoints, functions. `make docs` runs it.

tests/test_docs.py fails when what it would write is not what is there.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from fastapi import FastAPI
from pydantic_settings import BaseSettings

from km3vo import settings as concerns
from km3vo.adql.udf import FUNCTIONS
from km3vo.commands.main import main

DOCS = Path(__file__).parent.parent / "docs"
GENERATED = "<!-- Written by scripts/docs.py from the code: `make docs`. -->"


def settings_page() -> str:
    """docs/settings.md: a table for each concern."""
    lines = [
        "# Settings",
        "",
        GENERATED,
        "",
        "Every setting is an environment variable. Lists are written in JSON.",
        "",
    ]
    for concern in (
        concerns.Settings,
        concerns.Limits,
        concerns.Pools,
        concerns.Publisher,
        concerns.Oidc,
        concerns.Log,
        concerns.Alerts,
        concerns.Followup,
    ):
        lines += [f"## {concern.__name__}", "", inspect.cleandoc(concern.__doc__ or ""), ""]
        lines += ["| variable | default | meaning |", "|---|---|---|", *_rows(concern), ""]
    return "\n".join(lines)


def _rows(concern: type[BaseSettings]) -> Iterator[str]:
    prefix = concern.model_config.get("env_prefix", "")
    for name, field in concern.model_fields.items():
        default: Any = field.default
        if name == "home":
            default = "`~/.local/share/km3vo`; for root `/var/lib/km3vo`"
        elif name == "schemas":
            default = "the `schemas/` that come with km3vo"
        else:
            default = "" if not str("" if default is None else default) else f"`{default}`"
        yield f"| `{prefix}{name.upper()}` | {default} | {field.description} |"


def commands_page() -> str:
    """docs/cli.md: the help of every command."""
    lines = ["# The command line", "", GENERATED, ""]
    for names, command in _commands((), main):
        context = click.Context(command, info_name=" ".join(("km3vo", *names)), max_content_width=100)
        lines += [f"## {context.info_name}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(lines)


def _commands(names: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if below := command.get_command(context, name):
                yield from _commands((*names, name), below)


# What the code of a format's reader is about, in the order of the page.
_READERS = {
    "All formats": ("", "text/inference.py"),
    "CSV and TSV": ("text/delimited.py", "text/dialect.py", "text/lines.py"),
    "ECSV": ("text/ecsv.py",),
    "VOTable": ("votable",),
    "FITS": ("fits",),
    "Parquet": ("parquet",),
    "HDF5 and ROOT": ("local",),
}


def refusals_page() -> str:
    """docs/refusals.md: every sentence with which a reader refuses a file or a cell, by format."""
    folder = Path(__file__).parent.parent / "km3vo" / "readers"
    lines = ["# What readers refuse", "", GENERATED, ""]
    lines += [
        "Every sentence with which a load or an upload refuses a file or a cell, taken from the code. `…` stands",
        "for names and values. What is taken and what is turned stands in [Loading events](loading.md).",
        "",
    ]
    for title, places in _READERS.items():
        files = [file for place in places for file in sorted((folder / place).glob("*.py"))]
        files += [folder / place for place in places if place.endswith(".py")]
        sentences = {sentence for file in files for sentence in _sentences(ast.parse(file.read_text()))}
        lines += [f"## {title}", "", *(f"- {sentence}" for sentence in sorted(sentences, key=str.lower)), ""]
    return "\n".join(lines)


def _sentences(tree: ast.AST) -> Iterator[str]:
    """What is raised as an error of reading, and what is told of cells."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("ReadError", "IncompleteError", "TooLargeError", "WhichTableError", "tell", "note", "_note"):
            written = _written(node.args[-1])
            if re.search(r"[a-z]{2} [a-z]", written):
                yield written


def _written(node: ast.expr) -> str:
    """A text as it stands in the code, with … for what is put into it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return re.sub("…+", "…", "".join(map(_written, node.values)))
    if isinstance(node, ast.BinOp):
        return _written(node.left) + _written(node.right)
    return "…"


def endpoints_page(app: FastAPI) -> str:
    """docs/endpoints.md: every path."""
    lines = ["# Endpoints", "", GENERATED, "", "`/api` shows the same with forms to try them.", ""]
    lines += ["| path | methods | what it gives |", "|---|---|---|"]
    for path, methods in app.openapi()["paths"].items():
        names = ", ".join(sorted(method.upper() for method in methods if method != "head"))
        summary = next(iter(methods.values())).get("summary", "")
        lines.append(f"| `{path}` | {names} | {summary} |")
    return "\n".join([*lines, ""])


def functions_page() -> str:
    """docs/functions.md: the functions of ADQL that are declared in the capabilities."""
    lines = ["# Functions in ADQL", "", GENERATED, ""]
    lines += [
        "From the [Catalogue of ADQL User Defined Functions](https://ivoa.net/documents/udf-catalogue/) 1.2, and three "
        "for MOCs, of which it has none; their names are those of DaCHS. `ivo_simbadpoint` is left out: it would ask "
        "another service. Those that begin with `km3_` are ours: statistics of counts and error circles, to ten digits "
        "([correlate.md](correlate.md)). Those of the language itself are in [adql.md](adql.md).",
        "",
        "| function | what it gives |",
        "|---|---|",
    ]
    for function in FUNCTIONS.values():
        forms = "<br>".join(f"`{signature.text}`" for signature in function.signatures)
        lines.append(f"| {forms} | {function.description} |")
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """The text of each generated page by its name."""
    from km3vo.app import create_app
    from km3vo.catalog.files import read_catalog
    from km3vo.database.logins import LOGINS, Database

    # The routes follow from schemas/; nothing is asked of this database.
    settings = concerns.Settings()
    nowhere = Database("host=/nowhere dbname=km3vo", dict.fromkeys(LOGINS, ""))
    app = create_app(settings, nowhere, read_catalog(settings.schemas))
    return {
        "settings.md": settings_page(),
        "cli.md": commands_page(),
        "endpoints.md": endpoints_page(app),
        "functions.md": functions_page(),
        "refusals.md": refusals_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
