"""What is documented is what there is."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = runpy.run_path(str(ROOT / "scripts" / "docs.py"))["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name], "type `make docs` and commit"


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_code_names_pages_of_the_documentation_that_exist() -> None:
    for file in (*(ROOT / "km3vo").rglob("*.py"), *(ROOT / "km3vo").rglob("*.sql"), *(ROOT / "scripts").iterdir()):
        for name in re.findall(r"docs/[a-z_-]+\.md", file.read_text()):
            assert (ROOT / name).exists(), f"{file.name} names {name}"
