"""What `make site` adds to docs/: the pages of the repository's root, and one for each room of the code."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = {name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")} | {
    "README.md": "index.md"
}


def rooms() -> list[str]:
    """The packages and modules of km3vo/."""
    paths = (path for path in (ROOT / "km3vo").iterdir() if not path.is_symlink() and not path.name.startswith("_"))
    return sorted(path.stem for path in paths if path.suffix == ".py" or (path / "__init__.py").exists())


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the rooms to the navigation."""
    config.nav = [*(config.nav or ()), {"Python": [f"python/{room}.md" for room in rooms()]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages. Links of the root's pages lead to docs/, and on the site to a page beside them."""
    for name, page in PAGES.items():
        content = re.sub(r"\]\(docs/", "](", (ROOT / name).read_text())
        files.append(File.generated(config, page, content=content))
    for room in rooms():
        files.append(File.generated(config, f"python/{room}.md", content=f"# km3vo.{room}\n\n::: km3vo.{room}\n"))
    return files
