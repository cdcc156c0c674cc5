"""The HTML artifacts as the KFP UI shows them: in a sandboxed frame, wide and narrow, light and dark."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compaware.components.benchmark.report.render import render_html
from compaware.components.benchmark.report.sentences import sentences
from tests.components.benchmark.synthetic import SUMMARIES, family, quality
from tests.services.browser.chromium import Page, Scheme

DESK, PHONE = (1280, 900), (390, 844)
LONG_WORD = "unbelievably" * 40
# Returns the texts with too little contrast to their background (WCAG AA), and those that are too small to read.
ILLEGIBLE = """
(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parts(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!hasText || !box.width || !box.height) continue;
    const style = getComputedStyle(element);
    const ink = parts(element instanceof SVGElement ? style.fill : style.color);
    const [dark, light] = [luminance(ink), luminance(behind(element))].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    const name = element.textContent.trim().slice(0, 40);
    if (contrast < 4.5) found.push(`${name}: contrast ${contrast.toFixed(2)}`);
    if (box.height < 9) found.push(`${name}: ${box.height.toFixed(1)} px high`);
  }
  return found;
})()
"""


def complaints(page: Page, content: str, folder: Path, size: tuple[int, int], scheme: Scheme) -> list[str]:
    """Returns the problems of an artifact in a window of this size and in this colour scheme."""
    page.show(content, folder, *size, scheme)
    width = page.ask("document.documentElement.scrollWidth")
    found = [f"is {width} px wide"] if width > size[0] else []
    found += page.ask(ILLEGIBLE)
    return found + [f"asks for {address}" for address in page.requests] + page.errors


@pytest.fixture(scope="session")
def report() -> str:
    benchmark = family()
    benchmark.machine["cpu"] = "A CPU with quite a long name, at 2.45 GHz, of the third generation"
    benchmark.data["task"] = LONG_WORD
    benchmark.quality = quality(("negative", LONG_WORD), loss=0.05, text=f"a text with {LONG_WORD}")
    benchmark.words = sentences(benchmark)
    return render_html(benchmark, SUMMARIES)


@pytest.fixture(scope="session")
def unfolded(report: str) -> str:
    """The report as a reader sees it who has opened all details."""
    return report.replace("<details", "<details open")


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The data card of texts that may break a page: a very long word, markup, other scripts, an empty text."""
    folder = tmp_path_factory.mktemp("card")
    texts = [
        LONG_WORD,
        "<script>throw 1</script><img src='https://example.com/a.png'>",
        "نص عربي 😀 漢字",
        " ",
        "plain",
    ]
    rows = [
        {"text": f"{text} {number}", "label": text[:60].strip() or "blank"} for number in range(30) for text in texts
    ]
    for split, part in {"train": rows[:120], "validation": rows[120:]}.items():
        (folder / "data").mkdir(exist_ok=True)
        file = folder / "data" / f"{split}.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in part), encoding="utf-8")
    output = folder / "dataset"
    words = [f"output={output}", "task=custom", f"data={folder / 'data'}", "label_column=label"]
    subprocess.run([sys.executable, "-m", "compaware.components.data_prep", *words], check=True, capture_output=True)
    return (output / "card.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["report", "unfolded", "card"])
def test_an_artifact_is_legible_and_loads_nothing(
    name: str, size: tuple[int, int], scheme: Scheme, page: Page, tmp_path: Path, request: pytest.FixtureRequest
):
    assert complaints(page, request.getfixturevalue(name), tmp_path, size, scheme) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("<p style='width: 2000px'>wide</p>", "is 20"),
        ("<body style='background: #222'><p style='color: #333'>faint</p>", "faint: contrast 1.2"),
        ("<p style='font-size: 5px; line-height: 1'>small</p>", "small: 5.0 px high"),
        ("<img src='https://example.com/a.png'>", "asks for https://example.com/a.png"),
        ("<script>throw new Error('broken')</script>", "Uncaught"),
    ],
)
def test_a_problem_is_found(content: str, complaint: str, page: Page, tmp_path: Path):
    found = complaints(page, content, tmp_path, PHONE, "light")
    assert any(entry.startswith(complaint) for entry in found), found


def test_the_colour_scheme_follows_the_user(page: Page, tmp_path: Path, report: str):
    colours = []
    for scheme in ("light", "dark"):
        page.show(report, tmp_path, *DESK, scheme)
        colours.append(page.ask("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(246, 247, 249)", "rgb(16, 19, 23)"]
