"""The templates of the pages."""

from __future__ import annotations

import json
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from km3vo.web.statics import FOLDER


@cache
def templates() -> Environment:
    """All of them; what is not there is a mistake."""
    made = Environment(
        loader=PackageLoader("km3vo.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    built = json.loads((FOLDER / "build" / "manifest.json").read_text())
    made.globals["built"] = lambda name: f"/static/build/{built[name]['file']}"
    return made
