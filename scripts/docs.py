"""Writes the parts of docs/ that follow from the code: settings, commands, endpoints. `make docs` runs it.

tests/test_docs.py fails when what it would write is not what is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from fastapi import FastAPI
from pydantic_settings import BaseSettings

from km3vo import settings as concerns
from km3vo.cli import main

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
    for concern in (concerns.Settings, concerns.Limits, concerns.Pools, concerns.Identity, concerns.Oidc):
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
            default = "`schemas/` of the checkout"
        else:
            default = "" if default in (None, "") else f"`{default}`"
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
        for name in sorted(command.commands):
            yield from _commands((*names, name), command.commands[name])


def endpoints_page(app: FastAPI) -> str:
    """docs/endpoints.md: every path."""
    lines = ["# Endpoints", "", GENERATED, "", "`/api` shows the same with forms to try them.", ""]
    lines += ["| path | methods | what it gives |", "|---|---|---|"]
    for path, methods in app.openapi()["paths"].items():
        names = ", ".join(sorted(method.upper() for method in methods if method != "head"))
        summary = next(iter(methods.values())).get("summary", "")
        lines.append(f"| `{path}` | {names} | {summary} |")
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """The text of each generated page by its name."""
    from km3vo.app import create_app
    from km3vo.catalog.files import read_catalog
    from km3vo.store.database import LOGINS, Database

    # The routes follow from schemas/; nothing is asked of this database.
    settings = concerns.Settings()
    nowhere = Database("host=/nowhere dbname=km3vo", dict.fromkeys(LOGINS, ""))
    app = create_app(settings, nowhere, read_catalog(settings.schemas))
    return {"settings.md": settings_page(), "cli.md": commands_page(), "endpoints.md": endpoints_page(app)}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
