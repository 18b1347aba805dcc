"""What short runs, models and a base bring onto the page and into the picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from outline import Outline
from synthetic_ranking import make_ranking, make_report
from synthetic_runs import MODELS, make_full_ranking, make_full_report

from eyeshot.rankings.augmentations.report import ClassScores, ModelRow, ModelTable
from eyeshot.rankings.augmentations.result import AugmentationRanking, Pictures
from eyeshot.reports import write_ranking_page, write_ranking_picture
from eyeshot.reports.marks import MOST_CANDIDATES, MOST_CLASSES, make_class_bars
from eyeshot.reports.ranking_page import correlation_text, make_model_rows
from eyeshot.reports.score_breakdown import (
    COMBINED,
    COVERAGE_GAIN,
    DISTANCE,
    make_breakdown,
    masked_axis,
    part_text,
    ranked_by,
)

NEW = ("Fully trained", "What the score is made of", "What the budget bought")
NEW += ("Candidates by model", "on top of", "All short runs", "Short run")


@pytest.fixture(scope="module")
def full_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_ranking_page(make_full_ranking(), tmp_path_factory.mktemp("full") / "augmentations.html")
    return path.read_text(encoding="utf-8")


def page_of(report: object, folder: Path) -> str:
    return write_ranking_page(AugmentationRanking(report, None, Pictures()), folder / "augmentations.html").read_text(
        encoding="utf-8"
    )  # type: ignore[arg-type]


def table_after(page: str, heading: str) -> str:
    start = page.index("<table", page.index(f">{heading}</"))
    return page[start : page.index("</table>", start)]


def test_the_full_page_is_well_formed_and_its_links_lead_somewhere(full_page: str) -> None:
    outline = Outline(full_page)
    assert outline.faults == []
    assert len(set(outline.ids)) == len(outline.ids)
    links = {link["href"] for link in outline.all("a")}
    pages = {link for link in links if not link.startswith("#")}
    assert pages == set(make_full_report().model_table.pages.values())  # type: ignore[union-attr]
    assert {link[1:] for link in links - pages} <= set(outline.ids)
    assert all(tag.get("aria-label") or tag.get("aria-labelledby") for _, tag in outline.tags if tag.get("role"))


def test_without_a_budget_nothing_of_the_short_runs_is_there(page_text: str) -> None:
    text = Outline(page_text).text
    assert [word for word in NEW if word in text] == []
    assert "Regularisers (unranked)" in text
    assert "coverage gain over the identity control, in points" in text


def test_each_section_is_left_out_where_its_field_is_empty(tmp_path: Path) -> None:
    empty = {"full_training": [], "order": None, "budget": None, "model_table": None, "baseline_augmentation": None}
    text = Outline(page_of(make_full_report(**empty), tmp_path)).text
    assert [word for word in NEW if word in text] == ["What the score is made of", "All short runs", "Short run"]
    assert Outline(page_of(make_full_report(**empty), tmp_path)).faults == []


def test_all_that_the_issue_of_the_run_says_is_written_out(full_page: str) -> None:
    text = Outline(full_page).text
    report = make_full_report()
    assert report.order is not None
    assert report.budget is not None
    assert report.model_table is not None
    assert report.baseline_augmentation is not None
    said = [report.order.words, report.order.weight_words, report.budget.words, report.model_table.words]
    said += [report.baseline_augmentation.name, "0.61 (0.28 to 0.81), n = 21"]
    said += ["means nothing where its classes are uneven", "ended early: the loss was not finite"]
    assert [words for words in said if words not in text] == []
    assert text.index(report.baseline_augmentation.label_breaking[0]) < text.index("The ranking Dot")


def test_the_ranking_by_combined_score_shows_the_score_and_its_interval(full_page: str) -> None:
    first = make_full_report().of("ranked")[0]
    row = re.search(r'<tr class="first-group">.*?</tr>', full_page, re.S)
    assert row is not None
    assert first.combined is not None
    assert first.combined_interval is not None
    assert f"+{first.combined:.2f}" in row[0]
    assert f"+{first.combined_interval[0]:.2f} to +{first.combined_interval[1]:.2f}" in row[0]


def test_every_part_is_shown_by_value_mad_units_and_rank(full_page: str) -> None:
    table = table_after(full_page, "What the score is made of")
    for candidate in make_full_report().of("ranked"):
        (row,) = (row for row in table.split("<tr") if f">{candidate.name}</a>" in row)
        values = [text.replace("−", "-") for text in re.findall(r'<span class="number value">([^<]*)</span>', row)]
        standings = re.findall(r'<span class="number soft">([^<]*) MAD, rank (\d+)</span>', row)
        gain = candidate.parts["coverage_gain"]
        assert re.search(r'data-label="rank">(\d+)<', row)[1] == str(candidate.rank)  # type: ignore[index]
        assert float(values[0]) == pytest.approx(100 * (gain.value or 0), abs=0.05)
        assert float(standings[0][0].replace("−", "-")) == pytest.approx(gain.standardised, abs=0.051)
        assert standings[0][1] == str(gain.rank)
    assert table.count("not measured") == 1


def test_regularisers_are_ranked_with_accuracy_before_and_after(full_page: str) -> None:
    table = table_after(full_page, "Regularisers")
    harder = make_full_report().of("regulariser")
    assert [table.index(f">{one.name}</a>") for one in harder] == sorted(
        table.index(f">{one.name}</a>") for one in harder
    )
    for one in harder:
        assert one.run is not None
        assert f"58.0\u202f% before, {100 * (one.run.half_masked_after or 0):.1f}\u202f% after" in table


def test_what_was_fully_trained_stands_with_its_rank_and_paired_gain(full_page: str) -> None:
    table = table_after(full_page, "Fully trained")
    rows = table.split("<tr")[2:]
    assert ["+1.2" in rows[1], "−0.6" in rows[2]] == [True, True]
    assert re.search(r'data-label="rank here">–</td>', rows[0])  # clean has no rank
    assert ">1</td>" in rows[1]


def test_what_ranks_follows_the_report() -> None:
    assert ranked_by(make_full_report()) is COMBINED
    assert ranked_by(make_full_report(), "regulariser") is COMBINED
    assert ranked_by(make_report()) is COVERAGE_GAIN
    assert ranked_by(make_report(ranked_by="nearest_distance")) is DISTANCE


def test_the_axis_holds_every_gain_and_interval() -> None:
    ranked = make_full_report().of("ranked")
    axis = COMBINED.axis(ranked)
    for one in ranked:
        assert one.combined_interval is not None
        assert axis.low < one.combined_interval[0] < one.combined_interval[1] < axis.high


def test_a_gain_that_may_be_nothing_is_told_from_one_that_is_something() -> None:
    first, *_, last = make_full_report().of("ranked")
    assert not COMBINED.perhaps_nothing(first)
    assert COMBINED.perhaps_nothing(last)
    assert COMBINED.perhaps_nothing(first.model_copy(update={"combined_interval": None}))
    assert COMBINED.perhaps_nothing(first.model_copy(update={"beats_clean": False}))


def test_parts_are_named_after_what_was_measured() -> None:
    breakdown = make_breakdown(make_full_report())
    assert breakdown is not None
    names = [column["name"] for column in breakdown["columns"]]
    assert names == ["coverage gain", "estimated target accuracy", "validation, linear probe", "validation"]
    assert {column["mad"] for column in breakdown["columns"]} == {"1.5"}
    by_distance = make_breakdown(make_full_report(ranked_by="nearest_distance"))
    assert by_distance is not None
    assert part_text(0.25, by_distance["columns"][0]["unit"]) == "+0.250"
    assert make_breakdown(make_report()) is None


def test_the_axis_of_masked_images_holds_before_and_after() -> None:
    axis = masked_axis(make_full_report().of("regulariser"))
    assert (axis.low, axis.high) == (50, 80)
    assert (masked_axis([]).low, masked_axis([]).high) == (0, 100)


def test_classes_that_gain_most_come_first_and_the_rest_is_counted() -> None:
    report = make_report([f"class {n}" for n in range(100)])
    bars = make_class_bars(report)
    assert bars is not None
    assert (len(bars["rows"]), bars["left_out"]) == (MOST_CLASSES, 100 - MOST_CLASSES)
    assert len(bars["candidates"]) == MOST_CANDIDATES
    heights = [max(abs(bar["value"] or 0) for bar in row) for _, row in bars["rows"]]
    assert heights == sorted(heights, reverse=True)
    assert all(bars["axis"].low <= (bar["value"] or 0) <= bars["axis"].high for _, row in bars["rows"] for bar in row)
    best = report.of("ranked")[0]
    (_, row), *_ = bars["rows"]
    assert row[0]["value"] == best.per_class[bars["rows"][0][0]].covered
    assert "retention" in row[0]["description"]


def test_a_policy_far_down_is_among_the_classes_all_the_same() -> None:
    report = make_report()
    policy = next(one for one in report.candidates if one.family == "policy")
    report.candidates.remove(policy)
    report.candidates.insert(20, policy)
    bars = make_class_bars(report)
    assert bars is not None
    assert bars["candidates"][-1] == policy.name
    for one in report.candidates:
        one.per_class = {name: ClassScores(covered=0) for name in report.classes}
    assert make_class_bars(report) is None


def test_models_are_ordered_by_mean_rank_and_label_breaking_ones_come_last() -> None:
    report = make_full_report()
    lines = make_model_rows(report)
    assert len(lines) == len(report.model_table.rows)  # type: ignore[union-attr]
    harder = [any(cell["regulariser"] for cell in line["cells"]) for line in lines]
    ranked = [line for line, is_harder in zip(lines, harder, strict=True) if not is_harder and line["cells"][0]["rank"]]
    ranks = [[cell["rank"] for cell in line["cells"] if cell["rank"]] for line in ranked]
    means = [sum(row) / len(row) for row in ranks]
    assert means == sorted(means)
    assert all(cell["why"] == "label-breaking" for cell in lines[-1]["cells"])
    invert = next(line for line in lines if line["name"] == "invert")
    assert [cell["rank"] is None for cell in invert["cells"]] == [False, True, False]


def test_shades_run_from_the_first_to_the_last_of_a_list() -> None:
    rows = [
        ModelRow(name=f"c{n}", family="colour", ranks={"m": n}, scores={"m": -n}, roles={"m": "ranked"})
        for n in (1, 2, 3)
    ]
    table = ModelTable(models=["m"], pages={}, advice={}, rows=rows, pairs=[], words="")
    lines = make_model_rows(make_report(model_table=table))
    assert [line["cells"][0]["shade"] for line in lines] == [1.0, 0.5, 0.0]
    assert make_model_rows(make_report()) == []


def test_a_correlation_carries_its_interval_and_count() -> None:
    assert correlation_text(0.5, (-0.1, 0.9), 12) == "0.50 (−0.10 to 0.90), n = 12"
    assert correlation_text(None, None, 2) == "not known, n = 2"


def test_the_picture_shows_what_ranks(tmp_path: Path) -> None:
    full = write_ranking_picture(make_full_ranking(), tmp_path / "full.svg").read_text(encoding="utf-8")
    first = make_full_report().of("ranked")[0]
    assert "Combined score, in MAD units" in full
    assert f">+{first.combined:.2f}</text>" in full
    plain = write_ranking_picture(make_ranking(), tmp_path / "plain.svg").read_text(encoding="utf-8")
    assert "Coverage gain over the identity control" in plain


def test_hostile_names_become_no_markup_in_the_new_sections(tmp_path: Path) -> None:
    bad = '"><script>alert(1)</script>'
    report = make_full_report([bad, "a\nb", *(f"class {n}" for n in range(5))])
    assert report.order is not None
    assert report.model_table is not None
    assert report.baseline_augmentation is not None
    report.order.words = report.order.by_target[0] = report.full_training[0].name = bad
    report.baseline_augmentation.name = report.baseline_augmentation.label_breaking[0] = report.model_table.rows[
        0
    ].name = bad
    report.model_table = ModelTable(
        models=[bad, *MODELS[1:]],
        pages={bad: bad},
        advice={bad: bad},
        rows=report.model_table.rows,
        pairs=[],
        words=bad,
    )
    page = page_of(report, tmp_path)
    assert Outline(page).faults == []
    assert page.count("<script") == page_of(make_full_report(), tmp_path).count("<script")
