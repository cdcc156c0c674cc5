"""All pages are tested, their links work, and the README stays short."""

import ast
import itertools
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.reading import GUIDES, OTHERS, ROOT

MAX_README_LINES = 150
INDEX = ROOT / "docs" / "README.md"
# Pages whose tables quote messages.
QUOTING = [ROOT / "docs/troubleshooting.md", ROOT / "manifests/README.md", ROOT / "components/launch/README.md"]


def tokens(file: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(file.read_text(encoding="utf-8"))


def links(file: Path) -> list[str]:
    """Returns the targets of a page's links and pictures."""
    inner = [child for token in tokens(file) for child in token.children or []]
    return [
        str(child.attrGet("href") or child.attrGet("src")) for child in inner if child.type in ("link_open", "image")
    ]


def anchors(file: Path) -> set[str]:
    """Returns the anchors that GitHub creates for a page's headings."""
    every = tokens(file)
    headings = [after.content for token, after in itertools.pairwise(every) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_broken(file: Path, link: str) -> bool:
    if re.match(r"\w+:", link):
        return False
    path, _, anchor = unquote(link).partition("#")
    target = file.parent / path if path else file
    return not target.exists() or (target.suffix == ".md" and anchor != "" and anchor not in anchors(target))


def text_of(node: ast.AST) -> str:
    """Returns the text of a string in the source, with … for each value that is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) if isinstance(value, ast.Constant) else "…" for value in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def quoted_messages(file: Path) -> set[str]:
    """Returns the messages in a page's tables: text between backticks that contains … and a space."""
    rows = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return {quoted for row in rows for quoted in re.findall(r"`([^`]*)`", row) if "…" in quoted and " " in quoted}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


def test_no_page_is_left_out() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # Templates of issues and pull requests have no commands.
    pages = {ROOT / name for name in listed.splitlines() if not name.startswith(".github/")}
    assert pages - {*GUIDES, *OTHERS} == set()


def test_the_index_links_to_every_page() -> None:
    linked = {(INDEX.parent / link).resolve() for link in links(INDEX)}
    assert set((ROOT / "docs").glob("*.md")) - linked == {INDEX}


def test_links_work() -> None:
    assert [
        (str(file.relative_to(ROOT)), link)
        for file in [*GUIDES, *OTHERS]
        for link in links(file)
        if is_broken(file, link)
    ] == []


def test_a_broken_link_is_found() -> None:
    readme = ROOT / "README.md"
    assert is_broken(readme, "docs/moon.md") and is_broken(readme, "docs/data.md#moon")
    assert not is_broken(readme, "docs/data.md#use-your-own-data") and not is_broken(readme, "https://example.com/moon")


def test_the_architecture_page_names_paths_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paths = [path for path in re.findall(r"`([a-z]+/[\w/.-]+)`", text) if not path.startswith("core/")]
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_messages_that_pages_quote_exist() -> None:
    files = [file for room in ("components", "pipelines") for file in (ROOT / room).rglob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    source = "\n".join(filter(None, map(text_of, nodes)))
    quoted = {message for file in QUOTING for message in quoted_messages(file)}
    assert len(quoted) > 10
    assert {message for message in quoted if not re.search(re.escape(message).replace("…", ".*"), source)} == set()
