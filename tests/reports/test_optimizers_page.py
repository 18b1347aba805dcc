"""The page of `eyeshot rank optimizers` with hostile names, odd batches and optimizers that can be told apart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline import Outline
from PIL import Image

from accessibility import violations_of_file
from contrast import contrast
from eyeshot.predictions import Accuracy, compare_members
from eyeshot.rankings import OptimizerRanking, OptimizersReport, Situation, advise_optimizers, advise_schedule
from eyeshot.rankings.optimizers.report import BatchImage, OddBatch, RateTrial, Spread, TriedOptimizer
from eyeshot.rankings.optimizers.verdict import conclude, verdict_words
from eyeshot.reports import write_optimizers_page

HOSTILE = ("<script>alert(1)</script>", "two\nlines", '"><svg onload=alert(3)>', "고양이 🐈", "a" * 120)
SPREAD = Spread(n=48, median=1.0, spread=0.2, tail=2.4, kurtosis=6.1)


def made_tried() -> list[TriedOptimizer]:
    random = np.random.default_rng(0)
    shares = {"adamw": 0.7, "sgd": 0.85, "nadamw": 0.71, "sam-adamw": 0.4}
    members = [random.random((3, 400)) < share for share in shares.values()]
    differences = compare_members(members, reference=0)[1]
    tried = []
    for (name, _), right, difference in zip(shares.items(), members, differences, strict=True):
        rates = [
            RateTrial(learning_rate=rate, accuracy=Accuracy.of_counts(hits, 80), log_loss=0.4)
            for rate, hits in ((0.000333, 50), (0.001, 60), (0.003, 40))
        ]
        rates.append(RateTrial(learning_rate=0.009, accuracy=None, log_loss=None))
        tried.append(
            TriedOptimizer(
                optimizer=name, learning_rate=0.001, weight_decay=0.05, schedule="cosine", rates=rates, at_edge=False,
                accuracies=[float(value) for value in right.mean(1)], diverged=0,
                accuracy=Accuracy.of_counts(int(right[0].sum()), 400), difference=difference,
                verdict=verdict_words(name, difference, comparisons=3), seconds=12.5,
            )
        )  # fmt: skip
    return tried


def made_report(tried: list[TriedOptimizer]) -> OptimizersReport:
    random = np.random.default_rng(1)
    ratios = np.exp(random.normal(0, 0.3, 48)).tolist()
    ratios[5] = 4.2
    odd = [
        OddBatch(
            number=6, step=0, loss_ratio=1.4, norm_ratio=4.2,
            images=[BatchImage(id=f"{name}{place}.png", label=name, loss=3.5) for place, name in enumerate(HOSTILE)],
        )
    ]  # fmt: skip
    here = Situation(
        model="resnet50.a1_in1k", kind="convolutional with BatchNorm", kind_reason="it has 53 convolutions",
        pretrained=True, parameters=25_000_000, batch_size=64, epochs=20, steps=1000, warm_up_steps=100,
        schedule="cosine", augmentations=[], n_train=3000, classes=5, smallest_class=30, losses=SPREAD, norms=SPREAD,
        batches=24, loss_ratios=ratios, norm_ratios=ratios[::-1], noise_scale=310.0, odd_batches=odd,
        heavy_tailed=True, spread_words="One random batch in twenty has 2.4 times the usual gradient: a heavy tail.",
    )  # fmt: skip
    advice, _ = advise_optimizers(here)
    schedule, why = advise_schedule(here, [each.optimizer for each in advice])
    answer, choice = conclude(tried, advice)
    return OptimizersReport(
        answer=answer, next_step="eyeshot train <train> --optimizer sgd", choice=choice, situation=here,
        advised=advice, left_out=['soap (batches): pip install "eyeshot[pytorch-optimizer]"'], schedule=schedule,
        schedule_reason=why, tried=tried, epochs=5, seeds=3, seeds_planned=3, n_train=3000, n_val=400,
        n_inner_train=2400, n_inner_val=600, plan_words="4 optimizers, 5 of 20 epochs", notes=["a <b>note</b>"],
        created=datetime(2026, 1, 1, tzinfo=UTC), seconds=300, budget_s=1200, hardware="CPU",
        command="eyeshot rank optimizers <train>",
    )  # fmt: skip


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory) -> OptimizerRanking:
    folder = tmp_path_factory.mktemp("optimizers")
    report = made_report(made_tried())
    paths = {}
    random = np.random.default_rng(2)
    for place, image in enumerate(report.situation.odd_batches[0].images):
        paths[image.id] = str(folder / f"{place}.png")
        Image.fromarray(random.integers(0, 255, (60, 90, 3), np.uint8)).save(paths[image.id])
    return OptimizerRanking(report, paths)


@pytest.fixture(scope="module")
def path(ranking: OptimizerRanking, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_optimizers_page(ranking, tmp_path_factory.mktemp("page") / "optimizers.html")


def test_the_page_is_well_formed_and_names_nothing_outside_of_itself(path: Path) -> None:
    outline = Outline(path.read_text("utf-8"))
    assert outline.faults == []
    assert len(set(outline.ids)) == len(outline.ids)
    sources = [tag[key] for _, tag in outline.tags for key in ("src", "href", "srcset", "action") if key in tag]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert all(link[1:] in outline.ids for link in sources if link.startswith("#"))
    assert all(tag.get("alt") for name, tag in outline.tags if name == "img")


def test_names_of_files_and_classes_are_text_only(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "<script>alert" not in text
    assert "<svg onload" not in text
    assert "<b>note</b>" not in text


def test_the_page_says_what_the_report_says(path: Path, ranking: OptimizerRanking) -> None:
    report = ranking.report
    words = " ".join(" ".join(Outline(path.read_text("utf-8")).words).split())
    assert report.choice == "sgd"
    for text in (report.answer, report.next_step, *(each.verdict for each in report.tried if each.difference)):
        assert " ".join(text.split()) in words
    for each in report.advised:
        assert each.reason in words
        assert each.evidence in words
    assert "diverged" in words
    assert "Batch 6, after 0 steps" in words


def test_every_batch_is_a_mark_and_the_odd_ones_are_red_in_each_state(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count('<i class="batch') == 96
    assert text.count('<i class="batch odd"') == 4
    assert text.count("<img ") == len(HOSTILE)


def test_without_images_the_files_of_an_odd_batch_are_named(ranking: OptimizerRanking, tmp_path: Path) -> None:
    text = write_optimizers_page(ranking, tmp_path / "a.html", images=False).read_text("utf-8")
    assert "data:image" not in text
    assert "고양이 🐈3.png" in text
    assert Outline(text).faults == []


def test_without_trials_there_is_advice_alone(ranking: OptimizerRanking, tmp_path: Path) -> None:
    report = made_report([])
    text = write_optimizers_page(OptimizerRanking(report, {}), tmp_path / "a.html").read_text("utf-8")
    assert Outline(text).faults == []
    assert 'id="differences"' not in text
    assert 'id="advice"' in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_the_window_and_complains_of_nothing(chromium: Any, path: Path, width: int, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    tables = page.evaluate(
        "[...document.querySelectorAll('table')].map((one) => one.scrollWidth - one.parentElement.clientWidth)"
    )
    letters = page.evaluate(
        "[...document.querySelectorAll('th, td, figcaption, figcaption span, .axis, button, li, p, dt')]"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    drawn = page.evaluate(
        "[...document.querySelectorAll('.curves text')].map((one) => one.getBoundingClientRect().height)"
    )
    marks = page.evaluate(
        "[...document.querySelectorAll('.strip')].every((strip) => { const own = strip.getBoundingClientRect();"
        " return [...strip.querySelectorAll('.batch')].every((one) => { const at = one.getBoundingClientRect();"
        " return at.left > own.left - 8 && at.right < own.right + 8 && at.top > own.top - 8"
        " && at.bottom < own.bottom + 8; }); })"
    )
    context.close()
    assert complaints == []
    assert wide <= width
    assert max(tables) <= 1
    assert min(letters) >= 12.5
    assert min(drawn) >= 12.5
    assert marks


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(chromium: Any, path: Path, scheme: str) -> None:
    """WCAG 2.2, contrast of at least 4.5 to 1, against the background of the page."""
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri())
    colours = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility())"
        ".filter((one) => one.innerText || one.tagName === 'text')"
        ".map((one) => one.tagName === 'text' ? getComputedStyle(one).fill : getComputedStyle(one).color)"
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert min(contrast(colour, paper) for colour in set(colours)) >= 4.5


@pytest.mark.browser
def test_axe_finds_nothing(chromium: Any, path: Path) -> None:
    assert violations_of_file(chromium, path) == []
