"""A report as Markdown and as an HTML page: every block, escaping, and the files."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from lstm_sentiment.files.manifest import MANIFEST
from lstm_sentiment.report.page import (
    MARK,
    Block,
    Details,
    Heading,
    Listing,
    Paragraph,
    Plot,
    Table,
    files,
    markdown,
    page,
    plots,
    report_folder,
)

HOSTILE = """<script>alert('a' & "b")</script>"""
ESCAPED = "&lt;script&gt;alert(&#39;a&#39; &amp; &#34;b&#34;)&lt;/script&gt;"


def figure(text: str = "label") -> Figure:
    """Return a figure with elements that refer to others: markers, and a clipped line."""
    drawing = Figure(figsize=(3, 2))
    axes = drawing.subplots()
    axes.plot([0, 1, 2], [0, 1, 4], color="#0072B2", marker="o")
    axes.fill_between([0, 1], [0, 1], color="#D55E00")
    axes.text(0.5, 2, text)
    return drawing


def plot(name: str = "one", text: str = "label") -> Plot:
    return Plot(name, "A title.", figure(text))


def every_block() -> list[Block]:
    return [
        Heading("Comparison", 1),
        Paragraph("**gru-max** is `best`."),
        Listing(["one", "two"]),
        Table(["", "test %"], [["gru", "85.00"]]),
        plot("one"),
        Details("gru-max", [Paragraph("inside"), plot("two")]),
    ]


def body(*blocks: Block) -> str:
    """Return the HTML between <body> and the script, without line breaks between elements."""
    text = page("report", blocks)
    inside = text[text.index("<body>\n") + 7 : text.rindex("\n<script>")]
    return re.sub(r">\n+<", "><", inside)


def parsed(text: str) -> tuple[list[tuple[str, dict[str, str | None]]], list[str], list[str]]:
    """Return elements with their attributes, elements never closed, and unexpected end tags."""
    elements: list[tuple[str, dict[str, str | None]]] = []
    open_: list[str] = []
    wrong: list[str] = []

    def begin(tag: str, attributes: list[tuple[str, str | None]]) -> None:
        elements.append((tag, dict(attributes)))
        if tag != "meta":
            open_.append(tag)

    def end(tag: str) -> None:
        if not open_ or open_.pop() != tag:
            wrong.append(tag)

    parser = HTMLParser()
    parser.handle_starttag, parser.handle_endtag = begin, end
    parser.feed(text)
    parser.close()
    return elements, open_, wrong


def colours_of(text: str) -> set[str]:
    """Return the colours in the styles of an SVG."""
    return set(re.findall(r"(?:fill|stroke): ([#\w]+)", text)) - {"none", "url"}


def test_markdown_of_each_block() -> None:
    assert markdown([Heading("Comparison", 1)]) == "# Comparison\n"
    assert markdown([Heading("Pictures")]) == "## Pictures\n"
    assert markdown([Paragraph("**gru** is `best`.")]) == "**gru** is `best`.\n"
    assert markdown([Listing(["one", "two"])]) == "- one\n- two\n"
    assert markdown([plot("bars")]) == "![A title.](figures/bars.svg)\n"
    table = Table(["", "val %", "test %"], [["gru", "85.00", "84.00"], ["lstm", "–", "83.00"]])
    assert markdown([table]) == (
        "|  | val % | test % |\n| --- | --: | --: |\n"
        "| gru | 85.00 | 84.00 |\n| lstm | – | 83.00 |\n"
    )
    details = Details("gru-max", [Paragraph("one"), Listing(["two"])])
    assert markdown([details]) == "#### gru-max\n\none\n\n- two\n"


def test_blocks_of_markdown_are_separated_by_an_empty_line() -> None:
    text = markdown([Heading("A"), Details("B", [Paragraph("b")]), Paragraph("c")])
    assert text == "## A\n\n#### B\n\nb\n\nc\n"


def test_html_of_each_block() -> None:
    assert body(Heading("Comparison", 1)) == "<h1>Comparison</h1>"
    assert body(Heading("Pictures")) == "<h2>Pictures</h2>"
    text = "**gru** and **lstm** are `best`, not `worst`."
    assert body(Paragraph(text)) == (
        "<p><strong>gru</strong> and <strong>lstm</strong> are "
        "<code>best</code>, not <code>worst</code>.</p>"
    )
    assert body(Listing(["**one**", "two"])) == (
        "<ul><li><strong>one</strong></li><li>two</li></ul>"
    )
    table = Table(["", "val %"], [["**gru**", "85"], ["lstm", "–"]])
    assert body(table) == (
        '<div class="wide"><table><thead><tr><th></th><th>val %</th></tr></thead>'
        "<tbody><tr><td><strong>gru</strong></td><td>85</td></tr>"
        "<tr><td>lstm</td><td>–</td></tr></tbody></table></div>"
    )
    details = Details("gru-max", [Paragraph("one"), Heading("two", 3)])
    assert body(details) == ("<details><summary>gru-max</summary><p>one</p><h3>two</h3></details>")


def test_blocks_are_in_a_page_in_their_order() -> None:
    assert body(Paragraph("one"), Heading("two"), Paragraph("three")) == (
        "<p>one</p><h2>two</h2><p>three</p>"
    )


def test_a_plot_is_in_a_page_with_its_caption() -> None:
    text = body(plot())
    assert text.startswith('<figure><div role="img" aria-label="A title."><svg ')
    assert text.endswith("</svg></div><figcaption>A title.</figcaption></figure>")
    assert ">label</text>" in text  # to be searched


def test_the_title_of_a_page_is_escaped() -> None:
    assert f"<title>{ESCAPED}</title>" in page(HOSTILE, [])


@pytest.mark.parametrize(
    "block",
    [
        Heading(HOSTILE),
        Paragraph(HOSTILE),
        Listing([HOSTILE]),
        Table([HOSTILE, "b"], [["c", "d"]]),
        Table(["a", "b"], [["c", HOSTILE]]),
        Details(HOSTILE, []),
        Details("a", [Paragraph(HOSTILE)]),
    ],
)
def test_text_is_escaped_in_a_page(block: Block) -> None:
    text = body(block)
    assert ESCAPED in text
    assert "<script" not in text
    assert parsed(text)[1:] == ([], [])


def test_the_title_and_the_text_of_a_plot_are_escaped() -> None:
    text = body(Plot("one", HOSTILE, figure("<script>&")))
    assert f'aria-label="{ESCAPED}"' in text
    assert f"<figcaption>{ESCAPED}</figcaption>" in text
    assert "&lt;script&gt;&amp;</text>" in text
    assert "<script" not in text


def test_code_and_strong_text_are_escaped_inside() -> None:
    assert body(Paragraph("`a<b` and **c&d**")) == (
        "<p><code>a&lt;b</code> and <strong>c&amp;d</strong></p>"
    )


def test_single_stars_and_backticks_are_text() -> None:
    assert body(Paragraph("2 * 3 ** 4 ` 5 _ 6")) == "<p>2 * 3 ** 4 ` 5 _ 6</p>"


def test_a_vertical_bar_is_escaped_in_a_cell() -> None:
    text = markdown([Table(["a|b", "c"], [["d", "e|f|g"]])])
    assert text == "| a\\|b | c |\n| --- | --: |\n| d | e\\|f\\|g |\n"
    assert "<td>e|f|g</td>" in body(Table(["a"], [["e|f|g"]]))


def test_every_element_is_closed_and_every_id_is_unique() -> None:
    elements, never_closed, wrong = parsed(page("report", every_block()))
    assert (never_closed, wrong) == ([], [])
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids)) >= 4
    assert [tag for tag, _ in elements].count("svg") == 2


def test_a_plot_refers_only_to_its_own_elements() -> None:
    for name, other in (("one", "two"), ("two", "one")):
        text = body(plot(name))
        ids = set(re.findall(r'\bid="([^"]*)"', text))
        used = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', text))
        referred = {first or second for first, second in used}
        assert any(first for first, _ in used)
        assert any(second for _, second in used)
        assert referred <= ids
        assert not any(other in each for each in ids)


def test_a_page_needs_no_other_file() -> None:
    text = page("report", every_block())
    names = {"xmlns", "xmlns:xlink", "xmlns:dc", "xmlns:cc", "xmlns:rdf"}  # they are not fetched
    for tag, attributes in parsed(text)[0]:
        assert tag not in ("link", "img", "iframe", "object", "image")
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href"):
                assert (value or "").startswith("#")
            elif name not in names | {"rdf:resource"}:
                assert "//" not in (value or "")
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


def test_a_page_has_styles_for_dark_mode_and_for_printing() -> None:
    style = re.findall(r"<style>(.*?)</style>", page("report", []), re.S)[0]
    screen, paper = style.split("@media print")
    assert "color-scheme: light dark;" in screen
    assert "figure svg text { fill: currentColor; }" in screen
    assert "color-scheme: light;" in paper
    assert style.count("{") == style.count("}")
    assert 'addEventListener("beforeprint"' in page("report", [])  # what is folded is printed too


def test_black_becomes_the_colour_of_the_pages_text() -> None:
    alone, inside = plot().svg, body(plot())
    assert {"#000000", "#0072b2", "#d55e00"} <= colours_of(alone)
    assert colours_of(inside) == colours_of(alone) - {"#000000"} | {"currentColor"}
    assert "#000000" not in inside


def test_a_plot_has_no_background_in_a_page() -> None:
    assert "#ffffff" not in body(plot())
    assert "<rect width" not in body(plot())


def test_a_file_of_a_plot_has_a_white_background(tmp_path: Path) -> None:
    write("report", [plot()], tmp_path)
    root = ElementTree.fromstring((tmp_path / "figures" / "one.svg").read_text())
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    assert root[0].tag == f"{space}rect"  # below all else
    assert root[0].attrib == {"width": "100%", "height": "100%", "fill": "#ffffff"}
    assert "".join(root.itertext()).count("label") == 1
    assert "currentColor" not in (tmp_path / "figures" / "one.svg").read_text()


def test_a_plot_contains_no_date() -> None:
    assert "date" not in plot().svg


def test_plots_inside_of_details_are_listed() -> None:
    nested = Details("a", [plot("b"), Details("c", [plot("d")])])
    names = [each.name for each in plots([plot("a"), Paragraph("x"), nested, plot("e")])]
    assert names == ["a", "b", "d", "e"]


def files_of(*names: str) -> set[str]:
    """Return the paths of the plots with these names."""
    return {f"figures/{name}.{ending}" for name in names for ending in ("svg", "png")}


def write(title: str, blocks: Sequence[Block], folder: Path) -> None:
    with report_folder(folder) as manifest:
        manifest.replace_all(files(title, blocks))


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files but the manifest."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_report_is_two_texts_and_two_files_for_each_plot(tmp_path: Path) -> None:
    blocks = every_block()
    write("report", blocks, tmp_path / "new" / "folder")
    written = contents(tmp_path / "new" / "folder")
    assert written.keys() == {"report.md", "report.html"} | files_of("one", "two")
    assert written["report.md"].decode() == f"{markdown(blocks)}\n{MARK}\n"
    assert written["report.html"].decode() == page("report", blocks)
    assert written["figures/one.png"][:8] == b"\x89PNG\r\n\x1a\n"
    links = re.findall(r"\]\((.+?)\)", markdown(blocks))
    assert len(links) == 2
    assert set(links) < written.keys()


def test_the_same_blocks_give_the_same_bytes(tmp_path: Path) -> None:
    blocks = every_block()
    for name in ("a", "b"):
        write("report", blocks, tmp_path / name)
    write("report", every_block(), tmp_path / "drawn again")
    first = contents(tmp_path / "a")
    assert contents(tmp_path / "b") == first
    assert contents(tmp_path / "drawn again") == first


def test_plots_of_an_earlier_report_are_removed_and_no_other_files(tmp_path: Path) -> None:
    write("report", [plot("old"), plot("kept")], tmp_path)
    others = ["figures/notes.txt", "old.svg", "run/learning_curves.png"]
    for name in others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("of a user")
    write("report", [plot("kept", "changed"), plot("new")], tmp_path)
    plot_files = files_of("kept", "new")
    assert contents(tmp_path).keys() == {"report.md", "report.html", *others} | plot_files
    assert b"changed" in (tmp_path / "figures" / "kept.svg").read_bytes()


def test_a_report_without_plots_removes_those_of_an_earlier_one(tmp_path: Path) -> None:
    write("report", [plot("old")], tmp_path)
    write("report", [Paragraph("text")], tmp_path)
    assert contents(tmp_path).keys() == {"report.md", "report.html"}


@pytest.mark.parametrize("block", [Heading(HOSTILE), Details(HOSTILE, []), Listing([HOSTILE])])
def test_text_is_escaped_in_markdown(block: Block) -> None:
    assert "<script>" not in markdown([block])


def test_strong_text_across_code_is_nested() -> None:
    assert parsed(body(Paragraph("**a `b** c`")))[2] == []


def test_a_cell_is_one_line() -> None:
    assert len(markdown([Table(["a", "b"], [["c\nd", "e"]])]).splitlines()) == 3


@pytest.mark.parametrize("text", ["#000000", 'an id="x" here', "url(#x)"])
def test_the_texts_of_a_plot_are_not_changed(text: str) -> None:
    assert text in body(plot(text=text))


def test_a_name_may_begin_with_a_number() -> None:
    two_points = Figure()
    two_points.subplots().plot([0, 1], [0, 1], marker="o")
    elements, *problems = parsed(body(Plot("1_curves", "Two points.", two_points)))
    assert problems == [[], []]
    ids = [attributes["id"] or "" for _, attributes in elements if "id" in attributes]
    assert ids
    assert all(name.startswith("1_curves-") for name in ids)
