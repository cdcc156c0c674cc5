"""A text from data is rendered as it is, whatever it contains and wherever it is in a document."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.escaping import chat, markdown
from tests.markup import HOSTILE, Document, seen

TEMPLATES = {
    "{}\n": {"paragraph_open"},
    "## {}\n": {"heading_open"},
    "- {}\n- {}\n": {"bullet_list_open"},
    "before\n{}\nafter\n": {"paragraph_open"},
    "| a | b |\n|---|---|\n| {} | {} |\n": {"table_open"},
}
STRUCTURE = ("paragraph", "heading", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td")
ENDS = ("open", "close")
PLAIN = {"inline", "text", "text_special", "softbreak"} | {f"{name}_{end}" for name in STRUCTURE for end in ENDS}


def _check(text: str) -> None:
    for template, expected in TEMPLATES.items():
        document = Document(template.replace("{}", markdown(text)))
        assert document.kinds <= PLAIN and (expected <= document.kinds or not seen(text))
        shown = " ".join(document.texts)
        if seen(text):
            assert shown.count(seen(text)) >= template.count("{}")
        if "table_open" in document.kinds:
            assert len(document.texts) == 4


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_only_text(text: str) -> None:
    _check(text)


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("\\`*_[]{}<>|~&$#^=:@.-+!()1a \n\t\"'/;") | st.characters(), max_size=30))
def test_any_text_is_only_text(text: str) -> None:
    _check(text)


def test_figures_and_sentences_stay_readable_in_the_source() -> None:
    for text in ("accuracy 0.8968 (-0.1 points), 12.5 %", "-0.3", "1.83x (1.78–1.88)", "INT8: no loss."):
        assert markdown(text) == text


@pytest.mark.parametrize("text", [*HOSTILE, "<!channel> <https://x.example|click> @here"])
def test_a_chat_gets_one_piece_of_code(text: str) -> None:
    shown = chat(text)
    assert shown[0] == shown[-1] == "`" and "`" not in shown[1:-1]
    assert len(shown.splitlines()) == 1 and not set("<>") & set(shown)
    shown.encode()
