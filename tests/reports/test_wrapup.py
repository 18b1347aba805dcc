"""The wrap-up report of a small project: its numbers, links, texts, languages and formats."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from wrapup_project import cells, make_full_project, make_project

import eyeshot
from eyeshot.auditing import ImageRef
from eyeshot.core import InputError, MissingExtraError, wilson
from eyeshot.ledger import ChangedMeanwhile, find_experiments, open_ledger
from eyeshot.reports.document import CELLS_OF_A_PAGE, anchor_of, clean, column_widths, links_of
from eyeshot.reports.formats import fonts, typeset
from eyeshot.reports.wrapup.experiments import question_of
from eyeshot.reports.wrapup.figures import sheet
from eyeshot.reports.wrapup.job import make_document
from eyeshot.reports.wrapup.texts import QUESTIONS, read_report_texts, store_report_text
from eyeshot.reports.wrapup.words import KOREAN
from made_ledger import HOSTILE

HANGUL = re.compile("[가-힣]")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("wrapup")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder, make_project(folder)


@pytest.fixture(scope="module")
def written(project: Any) -> dict[str, Any]:
    return eyeshot.report(format="html")


@pytest.fixture(scope="module")
def page(written: dict[str, Any]) -> str:
    return Path(written["files"]["html"]).read_text(encoding="utf-8")


def texts_of(document: Any) -> list[str]:
    """All texts of a document, in their order."""
    texts = []
    for block in document["blocks"]:
        if block["kind"] == "table":
            texts += [block["caption"], *block["columns"], *(cell["text"] for row in block["rows"] for cell in row)]
        else:
            texts.append(block["caption"] if block["kind"] == "figure" else block["text"])
    return texts


def without_notes(document: Any) -> list[Any]:
    """The blocks before the notes, which depend on the fonts of this machine."""
    blocks = document["blocks"]
    anchors = [block.get("anchor") for block in blocks]
    return blocks[: anchors.index("notes")] if "notes" in anchors else blocks


def test_ten_figures_are_those_of_the_ledger(project: Any) -> None:
    document, facts = make_document("en")
    records = {record.id: record for record in find_experiments()}
    checked = 0
    for name in ("baseline", "better", "noise", "worse"):
        record = records[project[1][name]]
        got = record.got
        assert got is not None
        row = [cell["text"] for cell in cells(document, anchor_of("experiment", record.id))]
        shown = re.findall(r"\d[\d.,]*", row[4])
        assert [float(number.strip(",").replace(",", "")) for number in shown[:4]] == [
            round(100 * number, 1) for number in (got.value, got.low or 0, got.high or 0)
        ] + [got.n]
        checked += 4
        if got.difference is not None and got.difference_low is not None and got.difference_high is not None:
            signs = re.findall(r"[+−]?\d+\.\d", row[5].split(", p")[0])
            assert [float(sign.replace("−", "-")) for sign in signs] == [
                round(100 * number, 1) for number in (got.difference, got.difference_low, got.difference_high)
            ]
            checked += 3
    assert checked >= 10
    judged = [record for record in records.values() if record.expected and record.verdict]
    came = sum(record.verdict == "as expected" for record in judged)
    low, high = wilson(came, len(judged))
    text = " ".join(texts_of(document))
    assert f"Of {len(judged)} expectations stated before the first run, {came} came" in text
    assert f"[{100 * low:.1f}, {100 * high:.1f}], n = {len(judged)}" in text
    assert facts.submissions is not None
    score = facts.submissions.submissions[0].score or 0
    low, high = wilson(round(100 * score), 100)
    assert f"score: {100 * score:.1f}\u202f% [{100 * low:.1f}, {100 * high:.1f}], n = 100" in text


def check_links(page: str, *, claims: int) -> Any:
    """Every link leads to a place in the page, and each of at least so many claims has one; returns the document."""
    places = re.findall(r'\bid="([^"]+)"', page)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(places)
    document, _ = make_document("en")
    made = [block for block in document["blocks"] if block["kind"] == "paragraph" and block["role"] == "claim"]
    assert len(made) >= claims
    assert [claim["text"] for claim in made if not claim["links"]] == []
    return document


def test_every_link_leads_to_a_place_in_the_document_and_every_claim_has_one(project: Any, page: str) -> None:
    check_links(page, claims=9)


def test_experiments_stand_under_the_question_that_their_one_changed_factor_answers(project: Any) -> None:
    records = {record.id: record for record in find_experiments()}
    questions = {name: question_of(records[id_]) for name, id_ in project[1].items()}
    assert questions == {
        "baseline": "beginning", "better": "optimizer", "noise": "several", "worse": "rate", "running": "length",
        "failed": "length", "hostile": "augmentation",
    }  # fmt: skip
    seed_alone = records[project[1]["better"]].model_copy(update={"difference": {"training.seed": (0, 1)}})
    assert question_of(seed_alone) == "seed"


def test_nothing_is_said_about_what_was_not_done(project: Any, page: str) -> None:
    for words in ("The data was not audited.", "No ranking of models.", "No ensemble was made."):
        assert words in page
    assert "Raw models" not in page


def test_texts_of_people_are_quoted_and_the_missing_ones_named_with_their_command(
    project: Any, written: dict[str, Any], page: str
) -> None:
    assert "<blockquote><p>Tell drawings apart.</p></blockquote>" in page
    assert "<blockquote><p>Models (bob)</p></blockquote>" in page
    assert "The warm-up was too short." in page
    commands = [missing["command"] for missing in written["missing"]]
    assert 'eyeshot write lessons "…"' in commands
    assert 'eyeshot act abc123 "…"' in commands
    assert not any(missing["field"] == "goal" for missing in written["missing"])
    assert f"{len(commands)} texts are still to be written" in written["answer"]
    unlearned = [record for record in find_experiments() if record.gain and not record.learned]
    assert [record.id for record in unlearned] == [project[1]["noise"]]
    asked = next(missing for missing in written["missing"] if missing["field"] == "learned")
    assert asked["command"] == f'eyeshot learned {project[1]["noise"]} "…"'
    assert "What did E3 teach?" in page
    assert page.count('class="missing"') >= len(commands)


def test_own_work_and_what_was_taken_can_be_written_where_no_experiment_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_ledger(tmp_path / "eyeshot-out", write=True) as ledger:
        ledger.add("Try it", author="ann")
        _, facts = make_document("en")
        commands = [missing["command"] for missing in facts.missing]
        assert {'eyeshot write own_work "…"', 'eyeshot write off_the_shelf "…"'} <= set(commands)
        eyeshot.write_report_text("off_the_shelf", "timm, Apache-2.0", author="ann")
        ledger.add("Try more", author="ann", own_work="the sampler")
    document, facts = make_document("en")
    assert not {missing["field"] for missing in facts.missing} & {"own_work", "off_the_shelf"}
    texts = texts_of(document)
    assert "the sampler" in texts
    assert "timm, Apache-2.0 (ann)" in texts


def test_markup_and_control_characters_of_people_are_text(project: Any, page: str) -> None:
    assert "<img src=x" not in page
    assert "onerror=&#34;" in page
    assert "cho &lt;b&gt;수지&lt;/b&gt;" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", page)
    assert "⟨U+0007⟩" in page
    assert clean("a\ud800b\x00c\nd\u202e") == "a\ufffdb⟨U+0000⟩c d⟨U+202E⟩"


def test_anchors_of_different_names_differ() -> None:
    names = ["a b", "a_b", "a-b", "a.b", "수지", "수진", "", "<b>", "a"]
    anchors = [anchor_of("run", name) for name in names]
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", anchor) for anchor in anchors)


def test_fixed_text_is_korean_in_a_korean_report(project: Any) -> None:
    english, _ = make_document("en")
    korean, _ = make_document("ko")
    pairs = list(zip(without_notes(english), without_notes(korean), strict=True))
    assert all(first["kind"] == second["kind"] for first, second in pairs)
    for first, second in pairs:
        if first["kind"] == "heading" and first["text"] not in {"ann", "bob", "dan", "night agent"}:
            assert HANGUL.search(second["text"]) or "cho" in second["text"], second["text"]
        elif first["kind"] == "table" and second["kind"] == "table":
            assert HANGUL.search(second["caption"])
            assert all(HANGUL.search(name) or name in ("", "ID") for name in second["columns"]), second["columns"]
        elif first["kind"] == "figure" and second["kind"] == "figure":
            assert HANGUL.search(second["caption"])
            assert HANGUL.search(second["alt"])
    assert all(HANGUL.search(korean) for _, korean in QUESTIONS.values())
    assert all(HANGUL.search(word) for word in KOREAN.values())


def test_a_page_of_one_person_holds_no_work_of_others(project: Any) -> None:
    document, _ = make_document("en", author="bob")
    text = " ".join(texts_of(document))
    assert document["title"] == "What bob did"
    assert "Experiments of bob: 1" in text
    assert "Experiments of ann" not in text
    listed = {
        cell["anchor"]
        for block in document["blocks"]
        if block["kind"] == "table"
        for row in block["rows"]
        for cell in row
        if "anchor" in cell
    }
    own = [record for record in find_experiments() if record.author == "bob"]
    parents = [record for record in find_experiments() if record.id == own[0].parent]
    assert listed == {anchor_of("experiment", record.id) for record in (*own, *parents)}
    assert {link["anchor"] for block in document["blocks"] for link in links_of(block)} <= listed
    headings = [block["anchor"] for block in document["blocks"] if block["kind"] == "heading"]
    assert "list-experiments" in headings
    assert "list-runs" not in headings, "their runs left no folder"
    with pytest.raises(InputError, match="--author must be one of ann, bob"):
        eyeshot.report(author="zoe")


def test_words_are_signed_by_whom_wrote_them_and_stand_on_that_persons_page(project: Any) -> None:
    learned = "Rates above 0.001 diverge."
    document, _ = make_document("en")
    texts = texts_of(document)
    assert f"{learned} (dan)" in texts
    assert "The warm-up was too short. (dan)" in texts
    assert f"{learned} (night agent)" not in texts
    team = next(block for block in document["blocks"] if block["kind"] == "table" and block["columns"][0] == "who")
    counts = {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in team["rows"]}
    assert counts["dan"] == ["0", "0", "0", "0", "0", "2"]
    pages = {name: texts_of(make_document("en", author=name)[0]) for name in ("dan", "night agent")}
    assert learned in pages["dan"]
    assert learned not in pages["night agent"]


def test_a_figure_whose_n_is_not_known_names_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_ledger(tmp_path / "eyeshot-out", write=True) as ledger:
        expected = {"direction": "up", "words": "up accuracy"}
        for number in (1, 2):
            id_ = ledger.add(f"Try {number}", author="ann", expected=expected).id
            ledger.append(id_, "got", got={"value": 0.7 + number / 100, "difference": 0.02})
            ledger.append(id_, "verdict", verdict="as expected", gain="better")
            said = texts_of(make_document("en")[0])
            assert "Try 1. Expected: up. Got: +2.0 points." in said
            assert ("Highest validation accuracy of an experiment: 71.0\u202f%." in said) == (number == 1)
    assert any("72.0\u202f%. It was chosen as the highest of 2" in text for text in said)
    assert not any("same images" in text for text in said)


def test_an_empty_project_says_what_to_do_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"Begin with: eyeshot audit TRAIN"):
        eyeshot.report()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("options", "words"),
 [({"lang": "de"}, "--lang must be en or ko"), ({"format": "odt"}, "--format takes html")])  # fmt: skip
def test_unknown_options_are_refused_before_the_project_is_read(options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        eyeshot.report(**options)  # type: ignore[arg-type]


def test_files_of_another_version_are_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path)
    folder = tmp_path / "eyeshot-out"
    for name in (
        "audit/audit.json", "models/models.json", "errors/errors.json", "optimizers/optimizers.json",
        "decisions/compare.json",
    ):  # fmt: skip
        (folder / name).parent.mkdir()
        (folder / name).write_text('{"version": 99, "future": []}', encoding="utf-8")
    (tmp_path / "split.json").write_text("no json", encoding="utf-8")
    for name in ("report.jsonl", "decisions.jsonl"):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write('{"field": "goal", "te')
    sent = eyeshot.submit().submissions[0]
    (folder / "runs" / sent.run / "run.json").write_text('{"version": 99}', encoding="utf-8")
    result = eyeshot.report()
    said = " ".join(result["notes"])
    for name in ("audit.json", "models.json", "errors.json", "optimizers.json", "split.json", "report.jsonl",
                 "compare.json"):  # fmt: skip
        assert name in said
    assert re.search(rf"run\.json of the run {re.escape(sent.run)} in .* is left out", said)
    assert "decisions.jsonl, line 2" in said
    assert "this line is skipped" in said
    document = check_links(Path(result["files"]["html"]).read_text(encoding="utf-8"), claims=9)
    gap = next(
        block
        for block in document["blocks"]
        if block["kind"] == "paragraph" and block["text"].startswith("Leaderboard")
    )
    assert [link["text"] for link in gap["links"]] == ["answers.csv", sent.run]
    assert "its record cannot be read" in texts_of(document)
    assert "Tell drawings apart." in Path(result["files"]["html"]).read_text(encoding="utf-8")


def test_words_are_appended_and_the_later_writer_sees_the_earlier(tmp_path: Path) -> None:
    store_report_text(tmp_path, "goal", "first", author="ann")
    store_report_text(tmp_path, "goal", "second", author="bob", before="first")
    with pytest.raises(ChangedMeanwhile) as refused:
        store_report_text(tmp_path, "goal", "third", author="cho", before="first")
    assert (refused.value.now, refused.value.author) == ("second", "bob")
    texts, bad = read_report_texts(tmp_path)
    assert (texts["goal", ""]["text"], bad) == ("second", [])
    lines = (tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["first", "second"]


@pytest.mark.parametrize(
    ("field", "text", "person", "words"),
    [
        ("gaol", "x", None, "FIELD must be one of title, goal"),
        ("goal", " \n", None, "The text must say something"),
        ("goal", "x", "ann", "--person belongs to role, contribution and reflection"),
    ],
)
def test_texts_that_cannot_be_stored_are_refused(
    tmp_path: Path, field: str, text: str, person: str | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        store_report_text(tmp_path, field, text, person=person)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_other_formats_are_written(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str, *, extra: str) -> None:
        raise MissingExtraError(f'pip install "eyeshot[{extra}]"')

    docx = pytest.importorskip("docx", reason="python-docx is not installed in this environment")
    monkeypatch.setattr(typeset, "require", absent)
    result = eyeshot.report(format="pdf,html,docx", out=project[0] / "without")
    assert result["not_written"].keys() == {"pdf"}
    assert 'pip install "eyeshot[pdf]"' in result["not_written"]["pdf"]
    assert Path(result["files"]["html"]).is_file()
    made = docx.Document(result["files"]["docx"])
    assert made.paragraphs[0].text == "Wrap-up report"


def test_docx_has_headings_captions_alternative_texts_and_links_that_lead_somewhere(project: Any) -> None:
    docx = pytest.importorskip("docx", reason="python-docx is not installed in this environment")
    document, _ = make_document("ko")
    made = docx.Document(eyeshot.report(format="docx", lang="ko")["files"]["docx"])
    headings = [each.text for each in made.paragraphs if each.style.name.startswith("Heading")]
    assert headings == [block["text"] for block in document["blocks"] if block["kind"] == "heading"]
    tables = [block for block in document["blocks"] if block["kind"] == "table"]
    assert len(made.tables) == len(tables)
    for shown, block in zip(made.tables, tables, strict=True):
        assert [cell.text for cell in shown.rows[0].cells] == block["columns"]
        assert len(shown.rows) == len(block["rows"]) + 1
        assert "tblHeader" in shown.rows[0]._tr.xml
        assert all("cantSplit" in row._tr.xml for row in shown.rows), "no row is parted by the end of a page"
    captions = [
        "".join(re.findall(r"<w:t(?: [^>]*)?>([^<]*)</w:t>", each._p.xml))
        for each in made.paragraphs
        if each.style.name == "Caption"
    ]
    figures = [block for block in document["blocks"] if block["kind"] == "figure"]
    assert len(captions) == len(tables) + len(figures)
    assert captions[0] == f"표 1. {tables[0]['caption']}"
    described = re.findall(r'<wp:docPr [^>]*descr="([^"]+)"', made.element.xml)
    assert described == [block["alt"] for block in figures]
    marks = re.findall(r'<w:bookmarkStart [^>]*w:name="([^"]+)"', made.element.xml)
    leads = re.findall(r'<w:hyperlink w:anchor="([^"]+)"', made.element.xml)
    assert leads
    assert set(leads) <= set(marks)
    assert len(marks) == len(set(marks))
    assert all(len(mark) <= 40 for mark in marks)
    korean = fonts.FAMILY if fonts.korean_fonts() else "Malgun Gothic"
    assert f'w:eastAsia="{korean}"' in made.styles["Normal"].element.xml
    assert HOSTILE.split("\u202e")[0] in " ".join(each.text for each in made.paragraphs)


def test_the_korean_font_is_in_the_docx(project: Any) -> None:
    docx = pytest.importorskip("docx", reason="python-docx is not installed in this environment")
    if not fonts.korean_fonts():
        pytest.skip("the fonts of the extra pdf are not installed in this environment")
    from fontTools.ttLib import TTFont

    path = Path(eyeshot.report(format="docx", lang="ko")["files"]["docx"])
    with zipfile.ZipFile(path) as packed:
        table = packed.read("word/fontTable.xml").decode("utf-8")
        stored = packed.read("word/fonts/font1.odttf")
        assert "obfuscatedFont" in packed.read("[Content_Types].xml").decode("utf-8")
        assert b"embedTrueTypeFonts" in packed.read("word/settings.xml")
    key = re.search(r'w:name="Noto Sans KR"><w:embedRegular [^>]*w:fontKey="{([0-9A-F-]+)}"', table)
    assert key is not None
    turned = bytes.fromhex(key[1].replace("-", ""))[::-1]
    font = TTFont(io.BytesIO(bytes(a ^ b for a, b in zip(stored[:32], turned * 2, strict=True)) + stored[32:]))
    letters, shown = font.getBestCmap(), docx.Document(path).element.xml
    assert {ord(sign) for sign in HANGUL.findall(shown)} <= letters.keys()
    assert {ord("가"), ord("힝"), ord("A")} <= letters.keys()
    assert font["name"].getDebugName(1) == "Noto Sans KR"
    assert font["glyf"][letters[ord("한")]].numberOfContours > 2


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_pdf_has_bookmarks_and_its_own_fonts(project: Any, lang: str) -> None:
    pytest.importorskip("typst", reason="typst is not installed in this environment")
    document, _ = make_document("ko" if lang == "ko" else "en")
    data = Path(eyeshot.report(format="pdf", lang=lang)["files"]["pdf"]).read_bytes()
    assert data.startswith(b"%PDF-")
    headings = [block for block in document["blocks"] if block["kind"] == "heading"]
    assert data.count(b"/Title") >= len(headings)
    assert b"/Outlines" in data
    assert b"/FontFile" in data
    if fonts.korean_fonts():
        assert b"NotoSansKR" in data


def test_signs_that_no_font_of_the_pdf_has_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("typst", reason="typst is not installed in this environment")
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path)
    eyeshot.write_report_text("goal", "A ∑ é 1\u200d2 \U0010fff0 \U0010fff1 \U0010fff0", author="ann")
    document, _ = make_document("en")
    made: list[Any] = []
    monkeypatch.setattr(typeset, "write_pdf", lambda document, path: made.append(document) or path)
    notes = eyeshot.report(format="pdf")["notes"]
    named = [note for note in notes if note.startswith("No font of the PDF has these signs")]
    assert len(named) == 1
    codes = re.findall(r"U\+([0-9A-F]+)", named[0])
    assert codes[-2:] == ["10FFF0", "10FFF1"]
    assert not {"2211", "00E9", "200D"} & set(codes)
    assert (len(made), made[0]["blocks"][-1]["text"]) == (1, named[0])
    without = {**document, "blocks": [], "title": "A", "subtitle": "é"}
    assert (typeset.missing_signs(without), typeset.missing_words(without)) == ([], "")


def test_korean_letters_are_in_the_page(project: Any) -> None:
    if not fonts.korean_fonts():
        pytest.skip("the fonts of the extra pdf are not installed in this environment")
    import base64

    from fontTools.ttLib import TTFont

    page = Path(eyeshot.report(lang="ko")["files"]["html"]).read_text(encoding="utf-8")
    stored = re.search(r"url\(data:font/woff;base64,([^)]+)\)", page)
    assert stored is not None
    letters = TTFont(io.BytesIO(base64.b64decode(stored[1]))).getBestCmap()
    shown = {ord(sign) for sign in HANGUL.findall(re.sub(r"data:[^\"')]+", "", page))}
    assert len(shown) > 100
    assert shown <= letters.keys()
    assert "font-src data:" in page


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project with a result of every command, and the current folder in it."""
    folder = tmp_path_factory.mktemp("full")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_full_project(folder)
        yield folder


def test_every_section_tells_its_result(full: Path) -> None:
    for language in ("en", "ko"):
        document, facts = make_document("ko" if language == "ko" else "en")
        assert [note for note in facts.notes if "left out" in note or "제외" in note] == []
        assert facts.models is not None
        assert facts.augmentations is not None
        assert facts.optimizers is not None
        assert facts.errors is not None
        assert len(facts.ensembles) == 1
        text = "\n".join(texts_of(document))
        best = facts.models.models[0].probe.accuracy
        assert best.value is not None
        assert f"{100 * best.value:.1f}\u202f%" in text
        for name in (facts.models.advised.name, facts.augmentations.advice, facts.optimizers.choice):
            assert name in text
        assert f"{facts.errors.errors:,}" in text
        gain = next(iter(facts.ensembles.values())).gain
        assert f"{100 * gain.difference:+.1f}".replace("-", "−") in text or gain.difference == 0
        assert "apache-2.0" in text


def test_rankings_link_to_their_files_and_a_submission_of_no_run_to_its_row(full: Path) -> None:
    page = Path(eyeshot.report(format="html")["files"]["html"]).read_text(encoding="utf-8")
    document = check_links(page, claims=25)
    section, figures = "", {}
    for block in document["blocks"]:
        if block["kind"] == "heading" and block["level"] == 1:
            section = block["anchor"]
        elif block["kind"] == "paragraph" and block["role"] in ("text", "claim", "item"):
            figures.setdefault(section, []).append(block)
    for name, file in (
        ("models", "models.json"), ("augmentation", "augmentations.json"), ("optimizers", "optimizers.json"),
        ("errors", "errors.json"),
    ):  # fmt: skip
        assert figures[name]
        for block in figures[name]:
            texts = [link["text"] for link in block["links"]]
            assert file in texts or any(re.fullmatch(r"E\d+", text) for text in texts), block["text"]
    best = next(block for block in figures["overview"] if block["text"].startswith("Highest leaderboard score: 90.0"))
    assert [link["text"] for link in best["links"]] == ["others.csv"]


def test_a_ranking_for_a_further_model_has_its_heading_its_map_and_its_file(full: Path) -> None:
    document, facts = make_document("en")
    further = facts.further_augmentations["augmentations/another"]
    blocks = document["blocks"]
    begins = next(
        place
        for place, block in enumerate(blocks)
        if block["kind"] == "heading" and block["text"] == f"For {further.models[0].name}"
    )
    first = blocks[begins + 1]
    assert first["kind"] == "paragraph"
    assert f"were ranked for {further.models[0].name}" in first["text"]
    assert [link["anchor"] for link in first["links"]] == [anchor_of("result", "augmentations/another")]
    maps = [block["svg"] for block in blocks if block["kind"] == "figure" and ">map " in block["svg"]]
    assert ["map 0" in svg for svg in maps] == [True, False]
    assert "map 1" in next(block["svg"] for block in blocks[begins:] if block["kind"] == "figure")


WITHOUT_INTERVAL = ("no interval", "신뢰구간 없음", "신뢰구간은 없음")
SETTINGS = re.compile(r"95 %|\d+ % held out")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_share_and_difference_carries_n_and_interval_or_says_that_it_has_none(full: Path, lang: str) -> None:
    document, _ = make_document("ko" if lang == "ko" else "en")
    figures = 0
    for block in document["blocks"]:
        if block["kind"] == "paragraph" and block["role"] in ("text", "claim"):
            text = SETTINGS.sub("", block["text"])
            shares = re.findall(r"\d\s?%(?!p)", text)
            points = re.findall(r"\d(?: points|%p)(?! \[)", text)
            without = any(words in text for words in WITHOUT_INTERVAL)
            bare = [found for found in re.findall(r"\d\s?%(?!p)(?! \[)", text)]
            expected = [part for part in re.findall(r"(?:Expected|예상): [^.]*\.\d(?: points|%p)", text)]
            assert without or (not bare and len(points) == len(expected)), text
            assert not shares or "n = " in text, text
            figures += len(shares)
        elif block["kind"] == "table":
            for place, name in enumerate(block["columns"]):
                for row in block["rows"]:
                    cell = row[place]["text"]
                    if re.match(r"[+−]?\d+\.\d+(\u202f%| points|%p)", cell) and name not in ("expected", "예상"):
                        assert "[" in cell, (name, cell)
                    if re.match(r"\d+\.\d+\u202f%", cell):
                        assert ", n = " in cell, (name, cell)
                        figures += 1
    assert figures > 60


def test_the_highest_score_of_the_leaderboard_has_the_interval_of_its_table(full: Path) -> None:
    document, facts = make_document("en")
    assert facts.submissions is not None
    best = max(facts.submissions.submissions, key=lambda each: each.score or 0)
    low, high = wilson(round((best.score or 0) * best.n), best.n)
    said = f"{100 * (best.score or 0):.1f}\u202f% [{100 * low:.1f}, {100 * high:.1f}], n = {best.n:,}"
    texts = texts_of(document)
    assert said in texts, "the table"
    assert any(
        text.startswith(f"Highest leaderboard score: {said} (n of the leaderboard: all images") for text in texts
    )


def test_scores_with_short_runs_and_the_leakage_of_the_split_have_their_intervals(full: Path) -> None:
    document, facts = make_document("en")
    assert facts.augmentations is not None
    best = next(each for each in facts.augmentations.candidates if each.rank == 1)
    assert best.combined_interval is not None
    low, high = best.combined_interval
    assert f"{best.combined:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "−") in texts_of(document)
    leakage = facts.split.leakage if facts.split else None
    assert leakage is not None
    text = next(text for text in texts_of(document) if text.startswith("A random split"))
    low, high = wilson(round(leakage.plain * leakage.images), leakage.images)
    assert f"[{100 * low:.1f}, {100 * high:.1f}], n = {leakage.images}" in text
    assert f"{leakage.gap_points:+.1f} points [{leakage.gap_low:+.1f}, {leakage.gap_high:+.1f}]" in text


def test_what_the_cleaning_did_is_told_with_n_and_interval_and_what_came_after(full: Path) -> None:
    text = next(text for text in texts_of(make_document("en")[0]) if text.startswith("What the cleaning did"))
    low, high = wilson(204, 240)
    assert f"without them 85.0\u202f% [{100 * low:.1f}, {100 * high:.1f}], n = 240," in text
    assert "+3.8 points [+0.4, +7.1]: helps. 1 decision is later than that." in text


def test_no_column_is_narrower_than_its_words_even_beside_a_long_one() -> None:
    columns = ["no.", "expected", "verdict", "changed (from)"]
    rows = [[{"text": text} for text in ("E1", "up", "not distinguishable", "training.learning_rate: " * 9)]]
    block: Any = {"kind": "table", "caption": "", "columns": columns, "numbers": [], "rows": rows}
    widths = column_widths(block)
    assert sum(widths) == pytest.approx(1)
    longest = [len(word) for word in ("no.", "expected", "distinguishable")]
    room = [round(width * CELLS_OF_A_PAGE) for width in widths[:3]]
    assert all(cells > word for cells, word in zip(room, longest, strict=True)), room


def test_small_pictures_are_enlarged_on_a_sheet(tmp_path: Path) -> None:
    Image.new("RGB", (32, 20), "green").save(tmp_path / "small.png")
    png, _ = sheet([ImageRef(split="train", id="small.png", label="")], tmp_path, None)
    page = np.asarray(Image.open(io.BytesIO(png)))
    rows, columns = np.nonzero((page != 255).any(axis=2))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (4 * 32, 4 * 20)


def test_pictures_whose_files_are_gone_are_counted_in_the_caption(full: Path) -> None:
    document, _ = make_document("en")
    captions = [block["caption"] for block in document["blocks"] if block["kind"] == "figure" and block["png"]]
    sheets = [caption for caption in captions if "under different labels" in caption]
    assert len(sheets) == 1
    assert "1 of 2 files are gone." in sheets[0]


@pytest.mark.parametrize("kind", ["html", "docx", "pdf"])
def test_a_project_of_500_classes_with_long_and_hostile_names_is_written(full: Path, kind: str) -> None:
    if kind == "pdf":
        pytest.importorskip("typst", reason="typst is not installed in this environment")
    if kind == "docx":
        pytest.importorskip("docx", reason="python-docx is not installed in this environment")
    file = Path(eyeshot.report(format=kind, lang="ko")["files"][kind])
    assert 20_000 < file.stat().st_size < 15 << 20
    if kind == "html":
        text = file.read_text(encoding="utf-8")
        assert "<img src=x" not in text
        assert "<script>alert" not in text


@pytest.mark.browser
@pytest.mark.parametrize(("lang", "title"), [("en", "Wrap-up report"), ("ko", "프로젝트 랩업 리포트")])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window_and_runs_nothing_of_the_users(
    full: Path, chromium: Any, width: int, lang: str, title: str
) -> None:
    file = Path(eyeshot.report(lang=lang, out=full / f"page-{width}")["files"]["html"])
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    assert page.title().startswith(title)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0 && image.alt)")
    page.click("a[href^='#experiment-']")
    assert page.evaluate("document.querySelector(':target') !== null")
    assert complaints == []
    context.close()
