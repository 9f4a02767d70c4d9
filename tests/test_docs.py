"""What is documented is what there is."""

import re
import runpy
import subprocess
import sys

import pytest

from tests.support.folders import ROOT

PAGES = runpy.run_path(str(ROOT / "scripts" / "docs.py"))["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name], "type `make docs` and commit"


def test_the_picture_of_the_rooms_is_up_to_date() -> None:
    drawn = runpy.run_path(str(ROOT / "scripts" / "rooms.py"))["picture"]()
    assert (ROOT / "docs" / "rooms.svg").read_text() == drawn, "type `make docs` and commit"


def test_every_room_is_described() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for path in (ROOT / "km3vo").iterdir():
        if path.is_symlink() or path.name.startswith("_") or path.suffix not in ("", ".py"):
            continue
        name = path.name if path.suffix else f"{path.name}/"
        assert f"`{name}`" in text, f"docs/architecture.md does not say what {name} is for"


def test_every_change_gets_into_the_changelog() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = " ".join(done.stdout.split())
    for fragment in (ROOT / "changes").glob("*.md"):
        assert " ".join(fragment.read_text().split()) in told, (
            f"{fragment.name}: name it ISSUE-WORD.(added|changed|fixed).md"
        )


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_code_names_pages_of_the_documentation_that_exist() -> None:
    for file in (*(ROOT / "km3vo").rglob("*.py"), *(ROOT / "km3vo").rglob("*.sql"), *(ROOT / "scripts").rglob("*.*")):
        for name in re.findall(r"docs/[a-z_-]+\.md", file.read_text()):
            assert (ROOT / name).exists(), f"{file.name} names {name}"


def test_every_promise_names_tests_that_exist() -> None:
    tables = (ROOT / "docs" / "embargo.md").read_text().split("| Promise | Test |\n")[1:]
    assert len(tables) >= 3, "docs/embargo.md promises something to the public, to observers and to members"
    for table in tables:
        for row in table.partition("\n\n")[0].splitlines()[1:]:
            named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", row)
            assert named, f"no test is named beside: {row}"
            for file, test in named:
                assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"no {test} in {file}"
