"""What a reader sees of HTML and Markdown, by parsers of their own, and names that would break out of them."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

from compaware.components.core.base.escaping import plain

HOSTILE = [
    "a | b",
    "two\nlines\r\nand\u2028more",
    "</td><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "`code` ``` ~~~ ~~gone~~",
    "[text](javascript:alert(1))",
    "![](http://x.example/y.png)",
    "<http://x.example> https://x.example www.x.example a@x.example",
    "$$x^2$$ ==mark== :smile: ::: note",
    "---",
    "===",
    "# heading",
    "- item",
    "1. first",
    "> quote",
    "**bold** _it_ __it__ *it*",
    "&lt;b&gt; &amp; &#60;",
    "back\\slash\\",
    "{{ 7 * 7 }} {% raw %} {#x#}",
    "\u202egpj.exe \x1b[31mred\x00 \x07",
    "\ud83d half",
    "a: b # c, 'd' \"e\"",
    "---\nlicense: mit\n---",
    "[x]: http://x.example",
    "x" * 5000,
]


def seen(text: str) -> str:
    """A text as one line shows it."""
    return " ".join(plain(text).split())


class Page(HTMLParser):
    """An HTML page: its tags, the attributes that run or load something, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: set[str] = set()
        self.acting: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects it."""
        self.tags.add(tag)
        self.acting += [name for name, value in attrs if name.startswith("on") or name in ("src", "action")]
        self.acting += [value or "" for name, value in attrs if name == "href" and not (value or "").startswith("#")]

    def handle_data(self, data: str) -> None:
        """Collects it."""
        self.text += data


class Document:
    """A Markdown document of CommonMark with tables and strikethrough.

    Attributes:
        kinds: Types of its blocks and of what is inside them.
        texts: The text of each block (heading, paragraph, table cell), as it is shown.
    """

    def __init__(self, text: str):
        self._tokens = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"]).parse(text)
        self.kinds = {token.type for token in self._tokens}
        self.texts: list[str] = []
        for token in self._tokens:
            if token.type == "inline":
                self.kinds |= {child.type for child in token.children or []}
                self.texts.append("".join(map(_shown, token.children or [])))


def _shown(token: Token) -> str:
    return token.content if token.type in ("text", "text_special", "code_inline") else f"<{token.type}>"
