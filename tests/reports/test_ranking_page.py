from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from outline import Outline
from synthetic_ranking import make_map, make_pictures, make_ranking, make_report

from eyeshot.core.errors import StorageError
from eyeshot.rankings.augmentations.report import SkippedFile
from eyeshot.rankings.augmentations.result import AugmentationRanking, Pictures
from eyeshot.reports import write_ranking_page

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "고양이 🐈",
    "two\nlines",
    "{{ 7 * 7 }}",
    "x" * 400,
]


def own_part(page: str) -> str:
    """The page without the library that draws the map, which has pictures and addresses of its own."""
    start = page.find('<script id="library">')
    return page if start < 0 else page[:start] + page[page.index("</script>", start) :]


def written(cover: AugmentationRanking, folder: Path, *, images: bool = True) -> str:
    return write_ranking_page(cover, folder / "augmentations.html", images=images).read_text(encoding="utf-8")


def test_the_page_is_well_formed(page_text: str) -> None:
    outline = Outline(page_text)
    assert outline.faults == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert outline.all("html")[0]["lang"] == "en"


def test_every_link_within_the_page_leads_somewhere(page_text: str) -> None:
    outline = Outline(page_text)
    targets = [link["href"] for link in outline.all("a")]
    assert targets
    assert all(target[0] == "#" and target[1:] in outline.ids for target in targets)
    for name in ("aria-labelledby", "for", "data-copy", "form"):
        assert {tag[name] for _, tag in outline.tags if name in tag} <= set(outline.ids)


def test_the_page_names_nothing_outside_of_itself(page_text: str) -> None:
    outline = Outline(page_text)
    sources = [tag[key] for _, tag in outline.tags for key in ("src", "href", "srcset", "action") if key in tag]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "@import" not in page_text
    assert not re.search(r"url\((?!data:)", page_text.partition("</style>")[0])


def test_every_picture_has_words_for_those_who_do_not_see_it(page_text: str) -> None:
    outline = Outline(page_text)
    assert len(outline.all("img")) > 40
    assert all(image.get("alt") for image in outline.all("img"))
    assert all(
        tag.get("aria-label") or tag.get("aria-labelledby") for _, tag in outline.tags if tag.get("role") == "img"
    )


def test_the_answer_stands_at_the_top(cover: AugmentationRanking, page_text: str) -> None:
    text = Outline(page_text).text
    report = cover.report
    places = [text.index(words) for words in (report.headline, report.next_step, "On 35 comparable tasks")]
    assert places == sorted(places)
    assert places[-1] < text.index("The answer in full")
    for words in (*report.answer, report.shift.words, report.recipe[4].strip()):
        assert text.index("The answer in full") < text.index(words) < text.index("The ranking Dot")
    assert "3,929 unlabelled test images, 1,000 used" in text


def test_without_a_headline_the_first_sentence_of_the_answer_stands_in_for_it(tmp_path: Path) -> None:
    report = make_report(headline="")
    text = Outline(written(AugmentationRanking(report, None, Pictures()), tmp_path)).text
    assert text.count(report.answer[0]) == 2  # title and heading
    assert text.rindex(report.answer[0]) < text.index("The answer in full")


@pytest.mark.parametrize(
    ("headline", "advice"),
    [
        ("No clear winner: nothing beats clean images by more than noise.", "clean"),
        ("No clear winner: trivial-augment-wide is the usual choice then.", "trivial-augment-wide"),
        ("No augmentation stands out.", "pencil-sketch"),
    ],
)
def test_no_winner_is_named_where_the_headline_names_none(headline: str, advice: str, tmp_path: Path) -> None:
    report = make_report(headline=headline, next_step="Train on clean images.", advice=advice)
    page = written(AugmentationRanking(report, None, Pictures()), tmp_path)
    text = Outline(page).text
    assert "Train with" not in text
    assert 'class="tag"' not in page
    assert text.index(headline) < text.index("Train on clean images.") < text.index("What to do now")


def test_only_the_first_five_candidates_are_unfolded(cover: AugmentationRanking, page_text: str) -> None:
    page = own_part(page_text)
    assert page.count('<tr class="first-group') == 3 + 3  # beside the map and in the whole ranking
    first, whole = re.findall(r'<table class="ranking.*?</table>', page, re.S)
    assert first.count("<tr") == 1 + 5
    assert whole.count("<tr") == 1 + len(cover.report.of("ranked"))
    assert page.index('<details class="whole-ranking">') < page.index(whole)
    assert len(re.findall(r'<details class="folded"', page)) == len(cover.report.candidates) - 5


def test_indistinguishable_groups_stand_in_one_piece(tmp_path: Path) -> None:
    report = make_report()
    report.candidates[3].group, report.candidates[2].group = 1, 2
    page = written(AugmentationRanking(report, None, Pictures()), tmp_path)
    for table in re.findall(r'<table class="ranking.*?</table>', page, re.S):
        groups = re.findall(r'class="number soft group">(\d+)', table)
        assert groups == sorted(groups)
        assert groups[:4] == ["1", "1", "1", "2"]


def test_notes_stand_once(tmp_path: Path) -> None:
    report = make_report()
    report.notes += [report.notes[0], report.answer[1], report.shift.words]
    text = Outline(written(AugmentationRanking(report, None, Pictures()), tmp_path)).text
    assert [text.count(note) for note in report.notes] == [1] * len(report.notes)


def test_the_glossary_is_short_and_defines_each_word_once(page_text: str) -> None:
    terms = re.findall(r"<dt>([^<]*)</dt>", page_text[page_text.index('<dl class="glossary">') :].partition("</dl>")[0])
    assert 0 < len(terms) == len(set(terms)) <= 12


def test_what_the_answer_says_of_the_shift_is_said_once(tmp_path: Path) -> None:
    report = make_report()
    report.answer.append(report.shift.words)
    assert Outline(written(AugmentationRanking(report, None, Pictures()), tmp_path)).text.count(report.shift.words) == 1


def test_every_candidate_has_its_place(cover: AugmentationRanking, page_text: str) -> None:
    text = Outline(page_text).text
    places = [
        text.index(title)
        for title in ("The ranking Dot", "Label-breaking After", "Regularisers (", "Controls These", "All scores")
    ]
    parts = [text[start:end] for start, end in pairwise(places)]
    for role, part in zip(("ranked", "label-breaking", "regulariser", "control"), parts, strict=True):
        assert all(candidate.name in part for candidate in cover.report.of(role))  # type: ignore[arg-type]
    assert "arrow → tree (44 %)" in parts[1]
    assert len(re.findall(r'<article class="card"', page_text)) == len(cover.report.candidates)


def test_a_gain_that_could_be_chance_is_hollow(cover: AugmentationRanking, page_text: str) -> None:
    start = page_text.index('<table class="ranking whole">')
    ranking = page_text[start : page_text.index("</table>", start)]
    hollow = sum(1 for one in cover.report.of("ranked") if one.interval and one.interval[0] <= 0)
    assert 0 < hollow < len(cover.report.of("ranked"))
    assert ranking.count('class="dot open"') == hollow


def test_why_a_score_is_missing_is_said(page_text: str) -> None:
    assert "labels are mixed" in Outline(page_text).text


def test_how_it_was_made_is_told(cover: AugmentationRanking, page_text: str) -> None:
    text = Outline(page_text).text
    for said in (cover.report.command, cover.report.hardware, "2 skipped files", "hidden file of macOS", "4 min 1 s"):
        assert said in text


def test_nothing_of_the_user_becomes_markup(tmp_path: Path) -> None:
    plain = written(make_ranking(), tmp_path)
    report = make_report(list(HOSTILE))
    report.candidates[0].name = report.advice = HOSTILE[0]
    report.candidates[1].warnings = [HOSTILE[1]]
    report.headline = report.next_step = report.answer[0] = report.command = report.notes[0] = report.recipe[0] = (
        HOSTILE[1]
    )
    report.uncovered[:3] = HOSTILE[:3]
    report.skipped[0] = SkippedFile(path=HOSTILE[2], reason=HOSTILE[0])
    points = make_map(report.classes)
    points.candidates[0] = HOSTILE[0]
    points.cloud[:] = np.where(points.cloud == "pencil-sketch", HOSTILE[0], points.cloud)
    page = written(AugmentationRanking(report, points, make_pictures(report)), tmp_path)
    outline = Outline(page)
    assert outline.faults == []
    assert len(outline.all("script")) == len(Outline(plain).all("script"))
    assert page.count("<script") == plain.count("<script")
    assert not [name for _, tag in outline.tags for name in tag if name.startswith("on")]
    assert "<script>alert(1)</script>" in outline.text
    assert "고양이 🐈" in outline.text
    assert "two␊lines" in outline.text
    assert "{{ 7 * 7 }}" in outline.text


def test_names_that_are_no_text_are_written_all_the_same(tmp_path: Path) -> None:
    cover = make_ranking()
    assert cover.map is not None
    strange = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    cover.pictures.uncovered_ids[0] = strange
    cover.map.ids[0] = strange
    assert Outline(written(cover, tmp_path)).faults == []


def test_without_images_no_picture_is_on_the_page(cover: AugmentationRanking, tmp_path: Path) -> None:
    page = written(cover, tmp_path, images=False)
    assert "data:image" not in own_part(page)
    assert '"sprite"' not in page
    assert Outline(page).faults == []
    assert len(page) < 2_500_000


def test_without_a_map_neither_map_nor_library_is_there(tmp_path: Path) -> None:
    page = written(AugmentationRanking(make_report(), None, Pictures()), tmp_path)
    assert "No map was drawn" in page
    assert "Bokeh" not in page
    assert len(page) < 400_000
    assert Outline(page).faults == []


@pytest.mark.parametrize(
    "changes",
    [
        {"candidates": []},
        {
            "headline": "",
            "next_step": "",
            "answer": [],
            "recipe": [],
            "uncovered": [],
            "validation_check": None,
            "models": [],
        },
        {"ranked_by": "nearest_distance", "validation_check": None},
        {"target": "validation", "notes": [], "skipped": [], "seconds": {}, "versions": {}},
    ],
    ids=["no candidates", "hardly anything", "by distance", "validation is the target"],
)
def test_odd_results_give_a_page_too(changes: dict[str, object], tmp_path: Path) -> None:
    cover = AugmentationRanking(
        make_report(**changes), make_map(["a", "b"], train=9, target=9, validation=9, samples=9), Pictures()
    )
    assert Outline(written(cover, tmp_path)).faults == []


def test_distances_are_named_where_they_rank(tmp_path: Path) -> None:
    text = Outline(
        written(AugmentationRanking(make_report(ranked_by="nearest_distance"), None, Pictures()), tmp_path)
    ).text
    assert "below 5 %, so candidates are ranked by distance" in text
    assert "+0.14" in text


def test_a_hundred_classes_and_many_files_stay_small(tmp_path: Path) -> None:
    classes = [f"class number {n} with a rather long name of its own" for n in range(100)]
    report = make_report(classes, skipped=[SkippedFile(path=f"{n}.jpg", reason="broken") for n in range(30_000)])
    points = make_map(classes, train=20, target=20, validation=20, samples=5)
    page = written(AugmentationRanking(report, points, make_pictures(report)), tmp_path)
    assert len(page.encode()) < 4_000_000
    assert "30,000 skipped files" in page
    assert page.count("broken</td>") == 200


def test_pictures_give_way_before_the_page_grows_too_large(
    cover: AugmentationRanking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyeshot.reports.page.MOST_BYTES", 1_900_000)
    page = written(cover, tmp_path)
    assert len(page.encode()) < 1_900_000
    assert "data:image" not in own_part(page)


def test_with_all_images_the_page_is_far_under_its_limit(page_path: Path) -> None:
    assert page_path.stat().st_size < 5_000_000


def test_the_file_may_be_named_by_text(cover: AugmentationRanking, tmp_path: Path) -> None:
    path = write_ranking_page(cover, str(tmp_path / "augmentations.html"), images=False)
    assert path == tmp_path / "augmentations.html"
    assert path.is_file()


def test_the_page_is_whole_or_not_there(cover: AugmentationRanking, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="taken"):
        write_ranking_page(cover, tmp_path / "taken" / "augmentations.html")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    write_ranking_page(cover, tmp_path / "new" / "augmentations.html", images=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["augmentations.html"]
