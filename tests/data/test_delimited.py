"""Delimited text files in every delimiter, encoding and quoting."""

import codecs
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.config import DataConfig, Delimiter, Quoting
from lstm_sentiment.data.delimited import TextFormat, is_unicode
from lstm_sentiment.data.formats import read_rows
from lstm_sentiment.errors import InputError
from tests.support.tables import NumberedReview, read_reviews, refusal, write_bytes

EXCEL = 'id;text;label\r\n1;"Schön; wirklich schön.";1\r\n2;"Don’t, und zwei\nZeilen.";0\r\n'
REVIEWS = [
    NumberedReview("Schön; wirklich schön.", 1),
    NumberedReview("Don’t, und zwei\nZeilen.", 0),
]

# Delimiters


@pytest.mark.parametrize(
    ("name", "delimiter", "guess"),
    [
        ("a.csv", ";", ["data.delimiter=semicolon"]),
        ("a.csv", "\t", ["data.delimiter=tab"]),
        ("a.csv", "|", ["data.delimiter=pipe"]),
        ("a.csv", ",", []),
        ("a.tsv", "\t", []),
        ("a.tsv", ",", ["data.delimiter=comma"]),
        ("a.tsv", ";", ["data.delimiter=semicolon"]),
    ],
)
def test_the_delimiter_is_found_in_the_header_and_said(
    tmp_path: Path, name: str, delimiter: str, guess: list[str]
) -> None:
    raw = "note,text,label\nx,a,1\n".replace(",", delimiter)
    file = write_bytes(tmp_path / name, raw)
    notes: list[str] = []
    assert read_reviews(file, notes=notes) == [NumberedReview("a", 1)]
    assert notes == [f"Guessed from the file: {each}." for each in guess]


def test_of_several_files_each_guess_has_its_file(tmp_path: Path) -> None:
    one = write_bytes(tmp_path / "1.csv", "text,label\na,1\n")
    two, notes = write_bytes(tmp_path / "2.csv", "text;label\nb;0\n"), list[str]()
    assert read_reviews(one, two, notes=notes) == [NumberedReview("a", 1), NumberedReview("b", 0)]
    assert notes == ["2.csv: Guessed from the file: data.delimiter=semicolon."]


def test_a_header_with_the_columns_decides_and_not_the_number_of_fields(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.csv", "text,label,a;b;c;d\nGood; very.,1,x\nBad.,0,y\n")
    assert read_reviews(file) == [NumberedReview("Good; very.", 1), NumberedReview("Bad.", 0)]


def test_a_header_without_the_columns_is_reported_by_its_most_probable_fields(
    tmp_path: Path,
) -> None:
    file = write_bytes(tmp_path / "a.csv", "Antwort;Urteil\nGut.;1\n")
    assert "(columns: Antwort, Urteil): name the text column with data.text_column" in refusal(file)
    assert read_reviews(file, text="Antwort", label="Urteil") == [NumberedReview("Gut.", 1)]


def test_a_chosen_delimiter_is_not_replaced(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.csv", "text;label\na;1\n")
    message = refusal(file, text_format=TextFormat(Delimiter.comma))
    assert "no column text or review (columns: text;label)" in message


# Encodings


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        *(
            (encoding, "\ufeff")
            for encoding in "utf-8 utf-16-le utf-16-be utf-32-le utf-32-be".split()
        ),
        *((encoding, "") for encoding in ("utf-8", "utf-16-le", "utf-16-be")),
    ],
)
def test_unicode_is_recognised(tmp_path: Path, encoding: str, mark: str) -> None:
    file = write_bytes(tmp_path / "a.csv", (mark + EXCEL).encode(encoding))
    assert read_reviews(file) == REVIEWS
    family = encoding.removesuffix("-le").removesuffix("-be")
    for chosen in (encoding, family) if encoding != "utf-16-be" or mark else (encoding,):
        assert read_reviews(file, text_format=TextFormat(encoding=chosen)) == REVIEWS


def test_utf16_as_excel_writes_it_is_said(tmp_path: Path) -> None:
    raw = codecs.BOM_UTF16_LE + EXCEL.replace(";", "\t").encode("utf-16-le")
    file, notes = write_bytes(tmp_path / "a.csv", raw), list[str]()
    read_reviews(file, notes=notes)
    assert notes == ["Guessed from the file: data.delimiter=tab, data.encoding=utf-16-le."]


@pytest.mark.parametrize("character", ["\u0a0a", "\u010a", "\U0001280a"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_the_byte_of_a_line_break_within_a_character_ends_no_line(
    tmp_path: Path, encoding: str, character: str
) -> None:
    raw = f"\ufefftext,label\n{character}x{character},1\n{character},0".encode(encoding)
    expected = [NumberedReview(f"{character}x{character}", 1), NumberedReview(character, 0)]
    assert read_reviews(write_bytes(tmp_path / "a.csv", raw)) == expected


def test_another_encoding_is_refused_with_the_option_that_reads_it(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.csv", EXCEL.encode("cp1252"))
    message = refusal(file)
    assert message.startswith("row 1 (line 2): not UTF-8 (byte 0xf6): ")
    assert "data.encoding=cp1252" in message
    assert read_reviews(file, text_format=TextFormat(encoding="cp1252")) == REVIEWS


def test_a_byte_that_the_chosen_encoding_lacks_is_reported(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.csv", b"text,label\na,1\nb\x81,0\n")
    message = refusal(file, text_format=TextFormat(encoding="cp1252"))
    assert message == (
        "row 2 (line 3): not CP1252 (byte 0x81): the file is damaged or has another encoding: "
        "name it with data.encoding."
    )


def test_damaged_utf16_is_reported_with_its_row(tmp_path: Path) -> None:
    raw = "\ufefftext,label\na,1\nb?,0\nc,1\n".encode("utf-16-le").replace(b"?\0", b"\0\xd8")
    message = refusal(write_bytes(tmp_path / "a.csv", raw))
    assert message.startswith("row 2 (line 3): not UTF-16-LE (byte 0x")


def test_an_encoding_that_contradicts_the_byte_order_mark_is_refused(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.csv", EXCEL.encode("utf-8-sig"))
    message = refusal(file, text_format=TextFormat(encoding="cp1252"))
    assert message.startswith("data.encoding=cp1252 contradicts the byte order mark of utf-8 ")
    assert read_reviews(file) == REVIEWS


@pytest.mark.parametrize("encoding", ["", "utf9", "base64", "rot13", "a\0b"])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(InputError, match="data.encoding must be auto or the name of an encoding"):
        DataConfig(encoding=encoding)


@pytest.mark.parametrize(
    ("raw", "other", "expected"),
    [
        ("Schön".encode(), "cp1252", True),
        ("Schön".encode("cp1252"), "cp1252", False),
        ("Schön".encode("utf-8-sig"), "cp1252", True),
        ("Schön".encode("utf-16"), "cp1252", True),
        ("text\nok".encode("utf-16-le"), "utf-16-le", False),
        (b"ASCII", "cp1252", False),
        (b"ASCII", "utf-16", True),
        ("ありがとう".encode("iso2022_jp"), "iso2022_jp", False),
        (b"", "cp1252", False),
    ],
)
def test_unicode_is_told_from_the_encoding_of_another_file(
    tmp_path: Path, raw: bytes, other: str, expected: bool
) -> None:
    assert is_unicode(write_bytes(tmp_path / "a.txt", raw), other) is expected


def test_a_text_file_may_have_another_encoding(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.txt", "Schön.\r\nMäßig.".encode("cp1252"))
    rows = read_rows(file, text_format=TextFormat(encoding="cp1252"))
    assert list(rows.rows) == [["Schön."], ["Mäßig."]]
    with pytest.raises(InputError, match=r"line 1: not UTF-8 \(byte 0xf6\)"):
        read_rows(file)


# Quoting


def test_a_tsv_file_without_quoting_is_recognised_and_said(tmp_path: Path) -> None:
    """Kaggle's and GLUE's files: with quoting, the first is malformed."""
    raw = 'id\tsentiment\treview\n"1_8"\t1\t"He called it \\"lovely\\"."\n"2_3"\t0\t"A bore"\n'
    file, notes = write_bytes(tmp_path / "a.tsv", raw), list[str]()
    assert read_reviews(file, notes=notes) == [
        NumberedReview('"He called it \\"lovely\\"."', 1),
        NumberedReview('"A bore"', 0),
    ]
    assert notes == ["Guessed from the file: data.quoting=none."]
    message = refusal(file, text_format=TextFormat(quoting=Quoting.csv))
    assert message.startswith("row 1 (line 2): text follows a closing quote")
    assert message.endswith("if quotes are part of the texts, give data.quoting=none.")


MERGED = 'text\tlabel\n"It starts well\t1\nThen it falls apart\t0\nand nobody cares"\t0\nA gem\t1\n'


def test_rows_are_not_merged_in_silence(tmp_path: Path) -> None:
    """With quoting, the four rows would be two, and all of them would be well-formed."""
    file, notes = write_bytes(tmp_path / "a.tsv", MERGED), list[str]()
    assert [review.label for review in read_reviews(file, notes=notes)] == [1, 0, 0, 1]
    assert notes == ["Guessed from the file: data.quoting=none."]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("text\tlabel", "1001"),
        ("text\tlabel", [""] * 4),
        ("text\tid", "4321"),
    ],
)
def test_a_file_has_the_same_rows_with_and_without_labels(
    tmp_path: Path, header: str, values: str | list[str]
) -> None:
    """Training, evaluation and prediction must not disagree on the rows of a file."""
    texts = ['"It starts well', "Then it falls apart", 'and nobody cares"', "A gem"]
    lines = [f"{text}\t{value}" for text, value in zip(texts, values, strict=True)]
    file, notes = write_bytes(tmp_path / "a.tsv", "\n".join([header, *lines])), list[str]()
    table = read_rows(file, note=notes.append)
    assert [row[table.text] for row in table.rows] == texts
    assert table.dialect is not None
    assert table.dialect.guesses == ("data.quoting=none",)
    assert [review.text for review in read_reviews(file, labelled=False)] == texts
    assert notes == []
    if "" not in values and "label" in header:
        assert [review.text for review in read_reviews(file)] == texts


def test_lines_of_which_some_have_no_label_are_no_rows_but_warned_of(tmp_path: Path) -> None:
    raw = 'text\tlabel\n"It starts well\t1\nand ends"\t\nA gem\t1\n'
    file, notes = write_bytes(tmp_path / "a.tsv", raw), list[str]()
    table = read_rows(file, note=notes.append)
    assert len(list(table.rows)) == 2
    assert ["looks like a row" in note for note in notes] == [True]


def test_merged_rows_of_labels_that_occur_once_are_warned_of(tmp_path: Path) -> None:
    """Any text may be a label, so single ones do not show that lines are rows."""
    raw = 'text\tlabel\n"It starts well\t5\nand ends"\t3\nA gem\t4\n'
    file, notes = write_bytes(tmp_path / "a.tsv", raw), list[str]()
    table = read_rows(file, text_format=TextFormat(prefix="--"), note=notes.append)
    assert len(list(table.rows)) == 2
    assert notes == [
        "row 1 (line 2): a field in quotes has a line that looks like a row: if quotes are part "
        "of the texts, give --quoting=none."
    ]


def test_labels_that_occur_again_show_that_lines_are_rows(tmp_path: Path) -> None:
    raw = 'text\tlabel\n"It starts well\t5\nand ends"\t3\nA gem\t5\nA dud\t3\n'
    file, notes = write_bytes(tmp_path / "a.tsv", raw), list[str]()
    assert [review.label for review in read_reviews(file, notes=notes)] == [1, 0, 1, 0]
    assert notes == ["Guessed from the file: data.quoting=none."]


@pytest.mark.parametrize("positive", [None, "1"])
def test_merged_rows_are_warned_of(tmp_path: Path, positive: str | None) -> None:
    options: dict[str, Any] = {"text_format": TextFormat(quoting=Quoting.csv), "positive": positive}
    file, notes = write_bytes(tmp_path / "a.tsv", MERGED), list[str]()
    assert len(read_reviews(file, notes=notes, **options)) == 2
    assert notes == [
        "row 1 (line 2): a field in quotes has a line that looks like a row: if quotes are "
        "part of the texts, give data.quoting=none."
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_ordinary_texts_with_line_breaks_cause_no_warning(tmp_path: Path, name: str) -> None:
    """The fields of a line of a text are the columns of a row only if one of them is a label."""
    delimiter = "," if name == "a.csv" else "\t"
    raw = 'text,label\n"Good, bad\nugly, fine",1\n"one\ntwo",0\n'.replace(",", delimiter)
    file, notes = write_bytes(tmp_path / name, raw), list[str]()
    assert [review.label for review in read_reviews(file, notes=notes)] == [1, 0]
    assert notes == []


@pytest.mark.parametrize("quoting", [Quoting.auto, Quoting.csv])
def test_a_quoted_tsv_file_is_read_with_quoting(tmp_path: Path, quoting: Quoting) -> None:
    raw = '"text"\t"label"\n"A ""fine"" film"\t"1"\n"Dull."\t"0"\n'
    file = write_bytes(tmp_path / "a.tsv", raw)
    expected = [NumberedReview('A "fine" film', 1), NumberedReview("Dull.", 0)]
    assert read_reviews(file, text_format=TextFormat(quoting=quoting)) == expected


def test_without_quoting_a_row_ends_with_its_line(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.tsv", 'text\tlabel\n"a\nb"\t1\n')
    message = refusal(file, text_format=TextFormat(quoting=Quoting.none))
    assert message.startswith("row 1 (line 2): the number of fields is 1, but the header has 2: ")
    assert "data.quoting=csv" in message
    assert read_reviews(file) == [NumberedReview("a\nb", 1)]


def test_lines_of_a_single_column_are_no_evidence_of_rows(tmp_path: Path) -> None:
    """The third line may be the end of the first text, whose quote was closed too early."""
    file = write_bytes(tmp_path / "a.tsv", 'text\n"Great" film\nindeed"\n')
    assert refusal(file, labelled=False).startswith("row 1 (line 2): text follows a closing quote")


def test_the_advice_on_quotes_in_a_csv_file_works(tmp_path: Path) -> None:
    """CSV files are not guessed to be without quoting: their texts are usually in quotes."""
    file = write_bytes(tmp_path / "a.csv", 'text,label\n"Great" film,1\n"Dull.,0\n')
    assert "if quotes are part of the texts, give data.quoting=none" in refusal(file)
    assert read_reviews(file, text_format=TextFormat(quoting=Quoting.none)) == [
        NumberedReview('"Great" film', 1),
        NumberedReview('"Dull.', 0),
    ]


def test_a_reader_of_whole_rows_learns_how_the_file_is_written(tmp_path: Path) -> None:
    file = write_bytes(tmp_path / "a.csv", EXCEL.encode("utf-8-sig"))
    table = read_rows(file, text_format=TextFormat(prefix="--"))
    assert table.dialect is not None
    assert (table.dialect.delimiter, table.dialect.encoding) == (";", "utf-8")
    assert table.dialect.byte_order_mark == codecs.BOM_UTF8
    assert table.dialect.description == "Guessed from the file: --delimiter=semicolon."
