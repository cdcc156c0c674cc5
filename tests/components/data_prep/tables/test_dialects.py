"""Delimited files of every writer are read cell for cell, or an error names the ambiguous row."""

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.config import ReadOptions
from compaware.components.data_prep.tables.readers import read_files
from tests.components.data_prep.conftest import Prepare

Rows = list[list[str]]
# Characters that are special in some dialect are frequent.
CELLS = st.text(
    st.one_of(st.sampled_from("\",;|\t\n\\'#x 0"), st.characters(exclude_categories=("Cs", "Cc"))), max_size=8
)
TABLES = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=3, max_size=8)


def _read(file: Path, **options: Any) -> tuple[list[str], Rows, list[str]]:
    """Names, rows and notes."""
    notes: list[str] = []
    table = read_files(file, file.parent / "work", ReadOptions(**options), note=notes.append)["train"]
    return table.column_names, [list(row.values()) for row in table.to_pylist()], notes


def _write(file: Path, content: str | bytes) -> Path:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def _csv(rows: Rows, **dialect: Any) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, **dialect).writerows([["id", "text", "label"], *rows])
    return stream.getvalue()


def _spark(rows: Rows) -> str:
    """Writes as Spark does: quotes around cells that need them; backslashes escape quotes and backslashes inside."""

    def cell(text: str) -> str:
        if any(sign in text for sign in '",\n\r'):
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return text

    return "\n".join(",".join(map(cell, row)) for row in [["id", "text", "label"], *rows]) + "\n"


WRITERS: dict[str, Callable[[Rows], str]] = {
    "csv": _csv,
    "csv, all quoted": lambda rows: _csv(rows, quoting=csv.QUOTE_ALL),
    "csv, line feeds": lambda rows: _csv(rows, lineterminator="\n"),
    "pandas": lambda rows: pd.DataFrame(rows, columns=["id", "text", "label"]).to_csv(index=False),
    "semicolons": lambda rows: _csv(rows, delimiter=";"),
    "bars": lambda rows: _csv(rows, delimiter="|", quoting=csv.QUOTE_ALL),
    "backslashes": lambda rows: _csv(rows, doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL),
    "spark": _spark,
}


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=60, deadline=None)
@given(rows=TABLES)
def test_every_writer_is_read_cell_for_cell(writer: str, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> None:
    # The delimiter is given, since a table of three rows may fit several dialects.
    options: dict[str, Any] = {"semicolons": {"delimiter": ";"}, "bars": {"delimiter": "|"}}.get(
        writer, {"delimiter": ","}
    )
    options["quoting"] = "backslash" if writer in ("backslashes", "spark") else "double"
    file = _write(tmp_path_factory.mktemp("any") / "train.csv", WRITERS[writer](rows))
    assert _read(file, **options)[:2] == (["id", "text", "label"], rows)


@pytest.mark.parametrize("writer", [writer for writer in WRITERS if writer not in ("backslashes",)])
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(CELLS, min_size=20, max_size=20))
def test_the_dialect_of_an_ordinary_table_is_guessed(
    writer: str, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [[str(number), f"film {text} end", ("good", "bad")[number % 2]] for number, text in enumerate(texts)]
    # A quote in a text shows how quotes are escaped; without one, Spark's backslashes cannot be recognized.
    rows[0][1] = 'a "must see" film, really'
    file = _write(tmp_path_factory.mktemp("any") / "train.csv", WRITERS[writer](rows))
    assert _read(file)[1] == rows


@pytest.mark.parametrize(
    "content", ['"a ""b"" c"\tx\n', '"a\tb"\tx\n', '"two\nlines"\tx\n', '"all"\t"x"\n"more"\t"y"\n']
)
def test_quotes_in_tsv_enclose_cells_if_a_program_wrote_them(content: str, tmp_path: Path) -> None:
    everywhere = content.startswith(('"all', '"a"'))
    header = '"text"\t"label"\n' if content.startswith('"all"') else "text\tlabel\n"
    file = _write(tmp_path / "train.tsv", header + content + ("" if everywhere else "plain\ty\n"))
    expected = list(csv.reader(io.StringIO(content, newline=""), delimiter="\t"))
    names, rows, notes = _read(file)
    assert (names, rows[: len(expected)]) == (["text", "label"], expected)
    assert notes == ["Quotes enclose cells in train.tsv (read_options.quoting)."]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text,label\na,1\n"an open quote,1\nb,0\n', 3),
        ('label,text\n1,a\n1,"so good\n0,b\n1,c\n', 3),
        ('text,label\n"two\nlines",1\nb,0\n"never again,0\nc,1\n"once more,1\n', 5),
        ('text,label\na,1\n"must see" film,0\nb,1\n', 3),
        ('"text"\t"label"\n"a"\t"1"\n"an open quote\t"1"\n"b"\t"0"\n', 3),
    ],
)
def test_an_unclosed_quote_is_named_by_its_line(content: str, line: int, tmp_path: Path) -> None:
    file = _write(tmp_path / ("train.tsv" if "\t" in content else "train.csv"), content)
    with pytest.raises(
        UserError, match=rf"^line {line} of .*train\.[ct]sv: a cell begins with a quote that is not closed"
    ) as caught:
        _read(file)
    assert len(str(caught.value)) - len(str(file)) < 250
    assert len(_read(file, quoting="none", delimiter="|", column_names=["line"])[1]) == content.count("\n")


@pytest.mark.parametrize("label", ["{parity}", "{number}.25"])
def test_rows_between_two_stray_quotes_are_not_merged(label: str, tmp_path: Path) -> None:
    rows = [f"film {number},{label.format(number=number, parity=number % 2)}\n" for number in range(40)]
    rows[10], rows[30] = rows[10].replace("film", '"film'), rows[30].replace(",", '",')
    file = _write(tmp_path / "train.csv", "text,label\n" + "".join(rows))
    with pytest.raises(UserError, match=r"^line 12 of .* contains whole rows: \"film 10,"):
        _read(file)
    assert len(_read(file, quoting="double")[1]) == 20


def test_a_quote_after_the_last_row_does_not_close_an_earlier_one(tmp_path: Path) -> None:
    rows = [f"{number % 2},film {number}\n" for number in range(40)]
    rows[10] = '0,"never again\n'
    with pytest.raises(UserError, match=r"^line 12 of .* contains whole rows: 0,\"never again"):
        _read(_write(tmp_path / "train.csv", "label,text\n" + "".join(rows) + '"\n'))


def test_texts_of_several_lines_with_commas_are_kept(tmp_path: Path) -> None:
    rows = [[str(number), f"Dear, all\nof {number}, you\nbye", str(number % 2)] for number in range(30)]
    assert _read(_write(tmp_path / "train.csv", _csv(rows)))[1] == rows


def test_a_quote_inside_a_cell_is_text_as_in_pandas(tmp_path: Path) -> None:
    file = _write(tmp_path / "train.csv", 'text,label\na 5" pipe,1\n"a, b",0\nsay "no",1\n')
    assert _read(file)[1] == [['a 5" pipe', "1"], ["a, b", "0"], ['say "no"', "1"]]
    assert _read(file)[1] == pd.read_csv(file, dtype=str).to_numpy().tolist()


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.csv", "text;label\nfine, really;1\nb;0\n", "separated by semicolons"),
        ("a.csv", "sep=;\ntext;label\nfine, really;1\nb;0\n", "separated by semicolons"),
        ("a.csv", "text\tlabel\nfine, really\t1\nb\t0\n", "separated by tabs"),
        ("a.tsv", 'text,label\n"fine, really",1\nb,0\n', "separated by commas"),
        ("a.csv", "text|label\nfine, really|1\nb|0\n", "separated by vertical bars"),
        ("a.txt", "text;label\nfine, really;1\nb;0\n", "separated by semicolons"),
        ("a.txt", "text\tlabel\nfine, really\t1\nb\t0\n", None),
        ("a.csv", 'text,label\r"fine, really",1\rb,0\r', None),
        ("a.csv", '\n\ntext,label\r\n"fine, really",1\n\nb,0\r\n\r\n', None),
        ("a.csv", '{"text": "fine, really", "label": "1"}\n{"text": "b", "label": "0"}\n', "was read as json"),
        ("a.json", 'text,label\n"fine, really",1\nb,0\n', "was read as csv"),
        ("a.csv", 'text,label,,\n"fine, really",1,,\nb,0,,\n', None),
        ("a.csv", ',text,label\n0,"fine, really",1\n1,b,0\n', "2 rows of a.csv have content in columns without a name"),
    ],
)
def test_unusual_dialects_are_guessed_and_noted(name: str, content: str, note: str | None, tmp_path: Path) -> None:
    names, rows, notes = _read(_write(tmp_path / name, content))
    assert (names, rows) == (["text", "label"], [["fine, really", "1"], ["b", "0"]])
    assert len(notes) == (note is not None) and (note or "") in "".join(notes)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_encodings_with_a_mark_are_read(name: str, encoding: str, tmp_path: Path) -> None:
    content = "text,label\nschön 😀,1\n" if name == "a.csv" else '{"text": "schön 😀", "label": "1"}\n' * 1
    content = f"[{content}]" if name == "a.json" else content
    assert _read(_write(tmp_path / name, content.encode(encoding)))[1] == [["schön 😀", "1"]]


def test_another_encoding_is_an_error_with_its_line_and_can_be_set(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.csv", "text,label\nplain,1\nonly £1 – “now”,0\n".encode("cp1252"))
    with pytest.raises(
        UserError, match=r"^line 3 of .*a\.csv is not UTF-8: set read_options='\{encoding: …\}' \(cp1252.*£1"
    ):
        _read(file)
    assert _read(file, encoding="cp1252")[1] == [["plain", "1"], ["only £1 – “now”", "0"]]
    with pytest.raises(UserError, match=r"^line 3 of .*a\.csv is not ascii: set"):
        _read(file, encoding="ascii")


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst", ""])
def test_compressed_files_are_read(ending: str, tmp_path: Path) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
    }
    content = packers.get(ending, gzip.compress)(b"text,label\na,1\n")
    names, rows, notes = _read(_write(tmp_path / f"a.csv{ending}", content))
    assert (names, rows, bool(notes)) == (["text", "label"], [["a", "1"]], not ending)
    with pytest.raises(UserError, match=r"compressed file .* is damaged"):
        _read(_write(tmp_path / f"b.csv{ending}", content[:-8]))


def test_rows_with_a_wrong_number_of_cells_are_named_and_counted(tmp_path: Path) -> None:
    content = "id,text,label\n1,a,0\n\n2,b\n3,c,0\n4,d,0,9\n"
    with pytest.raises(
        UserError, match=r"^line 4 of .* has 2 cells, but the header has 3 .*; 2 such rows in total: 2,b"
    ):
        _read(_write(tmp_path / "a.csv", content))


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("My reviews\n\ntext,label\na,1\n", "remove the lines above the header, or set read_options.delimiter"),
        ("text,label\ngood, really,1\n", "put texts with commas in quotes"),
        ("id,text,label\n1,a\n", "complete or remove these rows"),
    ],
)
def test_the_remedy_suits_the_wrong_number_of_cells(content: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=remedy) as caught:
        _read(_write(tmp_path / "a.csv", content))
    assert len(str(caught.value)) - len(str(tmp_path)) < 250


def test_spaces_in_column_names_are_shown(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'label' \(it has text, ' label'\): set label_column"):
        prepare(data=str(_write(tmp_path / "a.csv", "text, label\na, 1\nb, 0\n")))


def test_the_same_guess_for_several_files_is_one_note(tmp_path: Path) -> None:
    for number in range(4):
        _write(tmp_path / f"train-{number}.csv", f"text;label\na, {number};1\n")
    assert _read(tmp_path)[2] == [
        "The columns of train-0.csv are separated by semicolons (read_options.delimiter). The same is true of 3 more "
        "files of the split."
    ]


def test_column_names_can_be_set_for_a_file_without_header(prepare: Prepare, tmp_path: Path) -> None:
    lines = "".join(f'"{number % 3 + 1}","Headline {number}","The story of {number}, told"\n' for number in range(60))
    file = str(_write(tmp_path / "news.csv", lines))
    with pytest.raises(UserError, match=r"first row looks like data.*column_names: \[name1, name2, name3\]"):
        prepare(data=file)
    names = ["label", "title", "story"]
    dataset, _ = prepare(data=file, read_options={"column_names": names}, text_columns=["title", "story"])
    assert sum(dataset.manifest.splits.values()) == 60
    with pytest.raises(UserError, match=r"line 1 of .*news\.csv has 3 cells, but the header has 2"):
        prepare(data=file, read_options={"column_names": names[:2]})


def test_column_names_that_repeat_the_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"a\.csv already has a header with these names: remove read_options\.column_names"
    ):
        _read(_write(tmp_path / "a.csv", "text,label\na,1\n"), column_names=["text", "label"])


def test_guesses_are_on_the_data_card(prepare: Prepare, tmp_path: Path) -> None:
    rows = "".join(f"film, {number};{number % 2}\n" for number in range(40))
    dataset, _ = prepare(data=str(_write(tmp_path / "a.csv", "text;label\n" + rows)))
    assert dataset.manifest.notes[0] == "The columns of a.csv are separated by semicolons (read_options.delimiter)."
    assert "separated by semicolons" in (dataset.path / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "wrong",
    [{"delimiter": "::"}, {"encoding": "klingon"}, {"quoting": "single"}, {"column_names": ["a", "a"]}, {"x": 1}],
)
def test_wrong_read_options_are_refused(prepare: Prepare, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="read_options"):
        prepare(data=str(_write(tmp_path / "a.csv", "text,label\na,1\n")), read_options=wrong)


def test_many_columns_and_long_cells(tmp_path: Path) -> None:
    names = [f"column {number}" for number in range(3000)]
    row = ["x" * 3_000_000, *map(str, range(2999))]
    assert _read(_write(tmp_path / "a.csv", ",".join(names) + "\n" + ",".join(row) + "\n"))[:2] == (names, [row])
