"""Every command line and every piece of Python in docs/ runs, in a copy of one small project.

Lines that would take minutes get what makes them quick (QUICK). A few lines are only parsed, by tests/test_docs.py:
ONLY_PARSED says why for each.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from command_line import Eyeshot
from PIL import ImageOps

from labelled_pictures import COLOURS, picture, write_pictures

DOCS = Path(__file__).resolve().parents[2] / "docs"
HISTORY = DOCS / "ranking-log.md"
PAGES = sorted({*DOCS.rglob("*.md")} - {HISTORY})
MODEL = "resnet18.a1_in1k"
SMALL = ("--size", "32")
QUICK: dict[str, tuple[str, ...]] = {
    "decisions compare": ("--folds", "2"),
    "init": ("--force",),
    "open": ("--no-open",),
    "predict": ("--force",),
    "rank augmentations": ("--size", "32", "--budget", "0", "--full-train", "0", "--samples-per-image", "1",
                           "--max-images", "40"),
    "rank models": (*SMALL, "--budget", "0"),
    "rank optimizers": (*SMALL, "--dry-run"),
    "review": ("--no-open",),
    "split": ("--no-leakage",),
    "sweep": (*SMALL, "--dry-run"),
    "train": (*SMALL, "--epochs", "1"),
    "try": ("--dry-run",),
}  # fmt: skip
"""Added to the words of a document, so that a line takes seconds; a later option counts."""
NAMES = {
    "20261129-1432": "latest", "20261129-1510": "previous", "20261129-1157": "latest", "20261129-1204": "previous",
    "20261130": "third", "RUN-A": "latest", "RUN-B": "previous", "RUN-C": "third", "A": "latest", "B": "previous",
    "20261130-1015-ensemble-greedy-s0": "advised", "ID": "latest", "TAG": MODEL, "NAME=VALUE": "training.epochs=3",
    "train/cat/17.jpg": "train/red/17.png", "dog": "blue",
    "resnet50.a1_in1k": MODEL, "convnext_tiny.fb_in22k": MODEL, "training.head_epochs=2": "training.head_epochs=1",
}  # fmt: skip
"""What the names of a document are in the small project."""
ONLY_PARSED = {
    "demo": "it takes a minute; tests/cli/test_cli_demo.py runs it",
    "ray": "it needs a cluster of Ray; tests/sweep has one",
}


PRINTED = {
    "commands/audit": ("duplicates: train/red/00.png train/red/twin.png", "one picture in several folders: "),
    "commands/compare": ("n = 200, p = ",),
    "commands/decisions": ("31 images are left",),
    "commands/rank-models": ("resnet18.a1_in1k: accuracy ", "vit_tiny"),
    "commands/rank-augmentations": ("invert: covers ",),
    "commands/rank-optimizers": ("AdamW at ", "SGD at "),
    "commands/submit": ("agreement ",),
    "commands/train": ("accuracy ",),
}
"""What the Python of a page prints, where the answer is known."""


def typed(*words: str) -> str:
    """Type `eyeshot WORDS` in this folder; what it printed."""
    from eyeshot.cli import main

    out, err, code = StringIO(), StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["eyeshot", *words])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    assert code == 0, (words, err.getvalue())
    return out.getvalue()


@pytest.fixture(scope="module")
def offline(hub: Path) -> Iterator[pytest.MonkeyPatch]:
    """Weights come from the small hub, and nothing opens a browser or serves a page."""
    import webbrowser

    from huggingface_hub import constants

    import eyeshot.web.session
    import eyeshot.web.workbench.session

    def no_browser() -> None:
        raise webbrowser.Error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_CACHE", str(hub))
        patch.setattr(eyeshot.web.session, "serve", lambda app, socket: socket.close())
        patch.setattr(eyeshot.web.workbench.session, "run_server", lambda server, socket: socket.close())
        patch.setattr(webbrowser, "get", no_browser)
        patch.delenv("EYESHOT_CACHE", raising=False)
        patch.setenv("EYESHOT_AUTHOR", "ann")
        yield patch


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory, offline: pytest.MonkeyPatch) -> Path:
    """A project that has gone the whole way, and the files that documents name."""
    folder = tmp_path_factory.mktemp("documented") / "project"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_images()
        for line in (
            "init train --test test",
            "audit --no-images",
            "decisions apply --policy drop-both",
            "decisions apply --policy keep-one",
            "split --folds 5 --val-share 0.3 --no-leakage",
            f"train --model {MODEL} --size 32 --epochs 1 --seed 1 --augment mirror",
            f"train --model {MODEL} --size 32 --epochs 1",
            f"train --model {MODEL} --size 32 --epochs 1 --augment invert",
            'try "a lower rate may help" --set training.learning_rate=1e-5 --expect "up accuracy" --no-measure-noise',
            "errors --no-images --no-network",
            "predict latest --submission sample_submission.csv --out submission.csv",
            "decisions export theirs.jsonl",
            'insight latest "red is confused with blue"',
        ):
            typed(*shlex.split(line))
        runs = sorted((run.parent for run in folder.glob("eyeshot-out/runs/*/run.json")), key=lambda run: run.name)
        shutil.copytree(runs[0], folder / "eyeshot-out" / "runs" / "third")
        write_predictions(runs[-1])
        write_sweep(folder / "eyeshot-out")
        shutil.copytree(folder / "eyeshot-out" / "experiments", folder / "theirs" / "eyeshot-out" / "experiments")
    return folder.rename(folder.parent / "kept")


def write_images() -> None:
    """Images in all the layouts that documents name, and code of the user's own."""
    write_pictures(Path("train"))
    Path("test").mkdir()
    for number in range(20):
        image = picture(list(COLOURS.values())[number % 3], 9000 + number)
        (ImageOps.invert(image) if number < 5 else image).save(Path("test", f"{number:02}.png"))
    shutil.copy("train/red/00.png", "train/red/twin.png")
    shutil.copy("train/red/01.png", "train/blue/two-labels.png")
    for place, name in enumerate(COLOURS):
        for folder in ("val", "fakes"):
            for number in range(4):
                file = Path(folder, name, f"{number}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                picture(COLOURS[name], 5000 + 100 * place + number).save(file)
    Path("images").mkdir()
    with open("train.csv", "w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "label"])
        for file in sorted(Path("train").rglob("?[02468].png")):
            shutil.copy(file, Path("images", f"{file.parent.name}-{file.name}"))
            rows.writerow([f"{file.parent.name}-{file.name}", file.parent.name])
    shutil.copytree("val", "data/train")
    shutil.copytree("test", "data/test")
    picture(COLOURS["red"], 1).save("image.jpg")
    Path("my_aug.py").write_text(blocks(DOCS / "own-code.md", "python")[0], "utf-8")
    Path("my_package").mkdir()
    Path("my_package", "nets.py").write_text(NETWORK, "utf-8")
    Path("my_models.py").write_text(NETWORK, "utf-8")
    names = [f"{number:02}.png" for number in range(20)]
    for file, label in (("sample_submission.csv", "red"), ("earlier.csv", "blue")):
        Path(file).write_text("id,label\n" + "".join(f"{name},{label}\n" for name in names), "utf-8")


NETWORK = """
import timm


def factory():
    return timm.create_model("test_resnet", num_classes=3)
"""


def write_predictions(run: Path) -> None:
    """Probabilities and weights under the names that documents use."""
    from safetensors.torch import save_file

    from eyeshot.predictions import load_predictions

    shutil.copy(run / "weights.safetensors", "weights.safetensors")
    sys.path.insert(0, "")
    try:
        from my_models import factory

        save_file(factory().state_dict(), "best.safetensors")
    finally:
        sys.path.remove("")
        sys.modules.pop("my_models")
    Path("weights").mkdir()
    shutil.copy("weights.safetensors", f"weights/{MODEL}.safetensors")
    stored = load_predictions(run / "validation.npz")
    random = np.random.default_rng(0)
    with open("mine.csv", "w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["id", "label", *stored.classes])
        for name, label in zip(stored.ids, stored.labels, strict=True):
            row = random.dirichlet(np.where(np.arange(3) == label, 3, 1))
            rows.writerow([name, stored.classes[label], *(f"{value:.6f}" for value in row)])
    shutil.copy("mine.csv", "predictions.csv")
    with open("out-of-fold.csv", "w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["path", *stored.classes])
        for file in sorted(Path("train").rglob("*.png")):
            row = random.dirichlet([5 if name == file.parent.name else 1 for name in stored.classes])
            rows.writerow([file.relative_to("train").as_posix(), *row])
    labels = random.integers(0, 3, 200)
    np.save("labels.npy", labels)
    for name, skill in (("a", 4), ("b", 3)):
        weights = np.where(np.arange(3) == labels[:, None], skill, 1)
        np.save(f"{name}.npy", np.stack([random.dirichlet(row) for row in weights]))


def write_sweep(root: Path) -> None:
    """A sweep that was interrupted with one trial waiting."""
    from eyeshot.ledger import open_ledger
    from eyeshot.sweep import DecisionFile

    folder = root / "sweeps" / "which-rate-123456"
    folder.mkdir(parents=True)
    DecisionFile(folder / "sweep.json").keep("why", "which rate?")
    DecisionFile(folder / "sweep.json").keep("command", "eyeshot sweep 'which rate?' --budget 1h")
    with open_ledger(root, write=True) as ledger:
        trial = ledger.add(why="a trial", sweep=folder.name, author_kind="sweep", config={"trial": 0}).id
        ledger.append(trial, "state", state="waiting", words="")


def copied(source: str, target: str) -> None:
    """A copy for one page; large files that commands only read or replace are linked."""
    if source.endswith(".safetensors"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@pytest.fixture
def project(eyeshot: Eyeshot, documented: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> Eyeshot:
    """The command line in a copy of the project, which lies where the project was made."""
    here = documented.parent / "project"
    if here.exists():
        shutil.rmtree(here)
    shutil.copytree(documented, here, copy_function=copied)
    monkeypatch.chdir(here)
    return eyeshot


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [block for language, block in found if language in languages]


def lines(page: Path) -> list[list[str]]:
    """The words of all lines of a page that begin with `eyeshot`, without that word."""
    shown = [line for block in blocks(page, "", "sh", "bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in shown if line.startswith("eyeshot ")]


def quickened(words: list[str]) -> list[str]:
    """The words of a line as they can be typed in the small project, in seconds."""
    more = QUICK.get(" ".join(words[:2]), QUICK.get(words[0], ()))
    if "--model" in words:
        more = (*SMALL, *more)
    if "training.freeze=head-first" in words:  # an epoch for the head, and one for the rest
        more = (*more, "--epochs", "2")
    if words[0] in ("sweep", "train") or words[:2] in (["rank", "augmentations"], ["rank", "optimizers"]):
        more = more if "--model" in words else ("--model", MODEL, *more)
    if words[:2] == ["rank", "augmentations"] and "--candidates" not in words:
        more = (*more, "--candidates", "invert", "--candidates", "rotate-15")
    insight = json.loads(typed("insights", "--json"))["insights"][0]["id"] if "INSIGHT" in words else ""
    return [*(insight if word == "INSIGHT" else NAMES.get(word, word) for word in words), *more]


def only_parsed(words: list[str]) -> str:
    """Why a line is not run; empty for one that is."""
    reasons = [reason for name, reason in ONLY_PARSED.items() if words[0] == name or f"--{name}" in words]
    return reasons[0] if reasons else ""


def name_of(parameter: Path | int) -> str:
    """What a test of a page is called."""
    return str(parameter if isinstance(parameter, int) else parameter.relative_to(DOCS).with_suffix(""))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if lines(page)], ids=name_of)
def test_the_command_lines_of_a_page_run(page: Path, project: Eyeshot) -> None:
    settings = Path("eyeshot.toml").read_bytes()
    for words in lines(page):
        if only_parsed(words):
            continue
        done = project(*quickened(words))
        assert done.code == 0, (words, done.err)
        if words[0] == "init":  # a page shows several ways to begin; what follows is about the project as it is
            Path("eyeshot.toml").write_bytes(settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "number"), [(page, number) for page in PAGES for number in range(len(blocks(page, "python")))], ids=name_of
)
def test_the_python_of_a_page_runs(
    page: Path, number: int, project: Eyeshot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    for file in Path("train").rglob("[12]?.png"):  # ten images of each class, and the two copies, are enough here
        file.unlink()
    exec(compile(blocks(page, "python")[number], f"{page.name}, {number}", "exec"), {"__name__": page.stem})
    printed = capsys.readouterr().out
    assert [words for words in PRINTED.get(f"{page.parent.name}/{page.stem}", ()) if words not in printed] == []


def test_few_lines_are_only_parsed_and_each_reason_is_needed() -> None:
    found = {only_parsed(words) for page in PAGES for words in lines(page)} - {""}
    assert found == set(ONLY_PARSED.values())
    assert sum(bool(only_parsed(words)) for page in PAGES for words in lines(page)) <= 3
