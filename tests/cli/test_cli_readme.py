"""The README as a new user follows it: its commands in order, in one folder, and its Python example as it stands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import HUB_MODELS, Eyeshot
from PIL import ImageOps

from labelled_pictures import COLOURS, picture, write_pictures

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
TEST_IMAGES = 20
QUICK = {
    "rank augmentations": ("--size", "32", "--budget", "0", "--samples-per-image", "1"),
    "rank models": ("--size", "32", "--budget", "0"),
    "sweep": ("--size", "32", "--dry-run"),
    "train": ("--size", "32", "--epochs", "1"),
}
"""Added to the README's words, so that it takes seconds."""


@pytest.fixture
def project(eyeshot: Eyeshot, hub: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> Eyeshot:
    """The command line in a folder laid out as the README says: train/ with class folders, and test/."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    write_pictures(Path("train"))
    Path("test").mkdir()
    for number in range(TEST_IMAGES):
        ImageOps.invert(picture(COLOURS["red"], 9000 + number)).save(Path("test", f"{number:02}.png"))
    shutil.copy(Path("train", "red", "00.png"), Path("train", "red", "twin.png"))
    other = next(name for name in COLOURS if name != "red")
    shutil.copy(Path("train", "red", "01.png"), Path("train", other, "two-labels.png"))
    return eyeshot


@pytest.mark.slow
def test_the_steps_of_the_work_run_in_their_order(project: Eyeshot, monkeypatch: pytest.MonkeyPatch) -> None:
    import webbrowser

    import eyeshot.web.session
    import eyeshot.web.workbench.session

    pages: list[Any] = []

    def serve(app: Any, socket: Any) -> None:
        socket.close()
        pages.append(app)

    def no_browser() -> None:
        raise webbrowser.Error

    monkeypatch.setattr(eyeshot.web.session, "serve", serve)
    monkeypatch.setattr(eyeshot.web.workbench.session, "run_server", lambda server, socket: serve(server, socket))
    monkeypatch.setattr(webbrowser, "get", no_browser)
    assert [words[0] for words in COMMANDS] == [
        "init", "audit", "review", "decisions", "decisions", "decisions", "split", "models", "rank",
        "rank", "train", "train", "compare", "try", "sweep", "runs", "open", "errors", "ensemble", "predict", "submit",
        "report",
    ]  # fmt: skip
    names = sorted(file.name for file in Path("test").iterdir())
    Path("sample_submission.csv").write_text("id,label\n" + "".join(f"{name},red\n" for name in names), "utf-8")
    images = {file: file.read_bytes() for file in Path().rglob("*.png")}
    for words in COMMANDS:
        done = project(*words, *QUICK.get(" ".join(words[:2]), QUICK.get(words[0], ())))
        assert done.code == 0, (words, done.err)
    assert len(pages) == 2
    assert {file: file.read_bytes() for file in images} == images
    decisions = [json.loads(line) for line in Path("decisions.jsonl").read_text("utf-8").splitlines()]
    assert [decision["kind"] for decision in decisions] == ["drop-both", "keep-one"]
    models = json.loads(Path("eyeshot-out", "models", "models.json").read_text("utf-8"))
    assert {model["name"] for model in models["models"]} == set(HUB_MODELS)
    assert Path("eyeshot-out", "models", "models.html").stat().st_size > 0
    results = Path("eyeshot-out", "augmentations")
    report = json.loads((results / "augmentations.json").read_text("utf-8"))
    for name in ("augmentations.html", "augmentations.svg", "uncovered.csv"):
        assert (results / name).stat().st_size > 0
    results_of_runs = sorted(Path("eyeshot-out", "runs").glob("*/result.json"))
    (run,) = [file for file in results_of_runs if json.loads(file.read_text("utf-8"))["augmentations"]]
    trained = json.loads(run.read_text("utf-8"))
    assert trained["augmentations"] == ["invert"]
    assert (run.parent / "weights.safetensors").is_file()
    left = len(list(Path("train").rglob("*.png"))) - 3
    assert trained["n_train"] + trained["n_val"] == report["n_train"] + report["n_val"] == left
    submission = Path("submission.csv").read_text("utf-8").splitlines()
    assert [row.partition(",")[0] for row in submission[1:]] == names
    assert len(Path("submissions.jsonl").read_text("utf-8").splitlines()) == 1
    written = Path("eyeshot-out", "report", "report.html").read_text("utf-8")
    assert all(name in written for name in ("models.json", "augmentations.json", "errors.json", "submission.csv"))
    assert "smoother labels may help" in written


def test_the_python_example_runs_as_it_stands(project: Eyeshot) -> None:
    from torchvision.transforms import v2

    names: dict[str, Any] = {}
    exec(compile(EXAMPLE, "README.md", "exec"), names)
    assert Path("audit.html").stat().st_size > 0
    assert "augmentations" in Path("augmentations.html").read_text("utf-8")
    families = {candidate.family for candidate in names["ranking"].report.of("ranked")}
    assert families >= {"geometric", "colour"}
    assert isinstance(v2.Compose([names["transform"]]), v2.Compose)
