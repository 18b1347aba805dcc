"""`eyeshot demo`: a small project that goes the whole way, by the commands that a user would type."""

from __future__ import annotations

import contextlib
import io
import json as json_module
import os
import shlex
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from eyeshot.cli.options import OUTPUT, RANKING, Json, Seed, option
from eyeshot.cli.output import open_address, print_json, progress_shown
from eyeshot.core import EyeshotError, InputError, make_folder, percent, plural, replacing, shown_progress

if TYPE_CHECKING:
    from eyeshot.core import Progress

STATE_FILE, COMMANDS_FILE, LOG_FILE = "demo.json", "commands.txt", "commands.log"
VERSION = 1
Commands = Generator[str, str, str]
"""Yields command lines without `eyeshot`, is sent what each printed, and returns the answer of the step."""

RAW = {"test_resnet.r160_in1k": 10, "test_efficientnet.r160_in1k": 8, "test_vit.r160_in1k": 2}
"""Networks and their epochs on printed letters, in the place of weights from the network; the last has learnt nothing
after two, so that there is something to find."""
SIZE = 32
MODELS_S, SWEEP_S = 30, 40
"""Budgets in seconds."""


class Step(NamedTuple):
    """A line of the terminal: what is done, how long it takes on two quiet cores, and its commands."""

    name: str
    seconds: float
    commands: Callable[[], Commands]


def run(
    seed: Seed = 0,
    budget: Annotated[
        str, option(panel=RANKING, text="Time for short trainings after the ranking by coverage, as 2m; 0 for none.")
    ] = "0",
    out: Annotated[
        Path | None,
        option(panel=OUTPUT, text="Folder of the project. Default: eyeshot-out/demo, with another seed demo-SEED."),
    ] = None,
    serve: Annotated[
        bool | None,
        option("--serve/--no-serve", panel=OUTPUT, text="Serve the workbench at the end. Default: in a terminal."),
    ] = None,
    open_: Annotated[bool, option("--open/--no-open", panel=OUTPUT, text="Open the page in a browser.")] = True,
    json: Json = False,
) -> None:
    """Try it: a small project goes the whole way, from the audit to the report, in under five minutes; no download.

    Handwritten digits, with faults planted among them; most test images look unlike the training images. Each step is a
    command that you could type, and commands.txt lists them. The same command continues after an interruption.
    """
    import eyeshot
    from eyeshot.core import seconds_of

    budget_s = seconds_of(budget, "--budget")
    served = serve if serve is not None else not json and sys.stdout.isatty() and "CI" not in os.environ
    with progress_shown() as progress:

        def tell(line: str) -> None:
            with progress.paused(clear=True):
                typer.echo(line)

        done = eyeshot.demo(out=out, seed=seed, budget_s=budget_s, progress=progress, answered=None if json else tell)
    folder = Path(done["folder"])
    if json:
        print_json(done)
    else:
        typer.echo(f"Project: {folder} ({COMMANDS_FILE} lists its commands, {LOG_FILE} what they printed)")
    if not served:
        if not json:
            typer.echo(f"Next: {done['next_step']}")
        return

    def show(address: str, notes: list[str]) -> None:
        if not json:
            typer.echo(f"Page: {address}   (this machine only; Ctrl+C ends it)")
        if open_:
            open_address(address, quiet=json)

    with contextlib.chdir(folder):
        eyeshot.open_workbench(served=show)


def demo(
    *,
    out: str | Path | None = None,
    seed: int = 0,
    budget_s: float = 0.0,
    progress: Progress | bool | None = None,
    answered: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Take a small project the whole way by the commands of eyeshot, and give the answer of each step.

    The data are handwritten digits with planted faults and a planted shift between training and test images. While it
    runs, the current folder of this process is that of the project. The same call continues where it was stopped.

    Args:
        out: folder of the project, new or of an earlier demo; None: eyeshot-out/demo.
        seed: seed of the images and of all other random choices.
        budget_s: seconds for short trainings after the ranking of augmentations by coverage; 0 for none.
        progress: called with the progress; None: shown in a terminal or notebook; False: not shown.
        answered: called with a line for each step as it ends.

    Returns:
        `version`, `folder`, `seed`, `seconds` (all sittings), `next_step`, and `steps`: `name`, `answer`, `seconds` and
        `commands`.

    Raises:
        InputError: the folder holds something else, or a demo of another seed.
        EyeshotError: a command failed; commands.log in the folder has all that was printed.
    """
    folder = _folder(out, seed)
    steps: list[dict[str, Any]] = []
    with shown_progress(progress) as report_progress:
        runner = _Runner(folder, seed, report_progress)
        with contextlib.chdir(folder):
            for number, step in enumerate(steps_of(seed, budget_s), 1):
                taken = runner.take(number, step)
                steps.append(taken)
                if answered is not None:
                    answered(f"{number:>2} {step.name:<14} {taken['answer']}")
    return {
        "version": VERSION, "folder": str(folder), "seed": seed, "seconds": sum(step["seconds"] for step in steps),
        "next_step": f"cd {shlex.quote(str(folder))} && eyeshot open", "steps": steps,
    }  # fmt: skip


def steps_of(seed: int, budget_s: float) -> tuple[Step, ...]:
    """The steps, in order."""
    seeded = f" --seed {seed}" if seed else ""
    return (
        Step("images", 20, lambda: _images(seeded)),
        Step("audit", 8, _audit),
        Step("split", 4, lambda: _split(seeded)),
        Step("models", 8, lambda: _models(seeded)),
        Step("augmentations", 30 + budget_s, lambda: _augmentations(seeded, budget_s)),
        Step("experiments", 40, lambda: _experiments(seeded)),
        Step("sweep", 36, lambda: _sweep(seeded)),
        Step("errors", 2, _errors),
        Step("predictions", 10, lambda: _predictions(seeded)),
        Step("report", 3, _report),
    )


def _images(seeded: str) -> Commands:
    """Name the images, and make networks on another task, which stand for pretrained ones."""
    answer = _line((yield "init data --force"), "Wrote ").partition("; ")[0]
    for name, epochs in RAW.items():
        yield (
            f"train letters --model {name} --from-scratch --size {SIZE} --epochs {epochs} --no-decisions --no-split "
            f"--out {_network(name)}{seeded}"
        )
    return f"{answer}, and trained {len(RAW)} networks on printed letters."


def _audit() -> Commands:
    name = next(iter(RAW))
    printed = yield f"audit --quick --model {name} --weights {_weights(name)} --size {SIZE}"
    return _line(printed)


def _split(seeded: str) -> Commands:
    from eyeshot.auditing import read_report

    for policy in ("drop-both", "drop-leaks", "keep-one"):
        yield f"decisions apply --policy {policy}"
    report = read_report(Path("eyeshot-out", "audit", "audit.json"))
    broken = [image.id for finding in report.findings if finding.kind == "unreadable" for image in finding.images]
    if broken:
        files = shlex.join(Path("data", "train", name).as_posix() for name in broken)
        yield f'decisions add drop {files} --reason "it breaks off"'
    printed = yield f"split --val-share 0.3{seeded}"
    return _line(printed, "Linear probe accuracy ").partition(". ")[0] + "."


def _models(seeded: str) -> Commands:
    files = " ".join(f"--models {name}={_weights(name)}" for name in RAW)
    printed = yield f"rank models --size {SIZE} --budget {MODELS_S}s {files}{seeded}"
    return _line(printed, "Take ")


def _augmentations(seeded: str, budget_s: float) -> Commands:
    printed = yield (
        f"rank augmentations {_model()} --max-images 300 --samples-per-image 2 --projections PCA --projections t-SNE "
        f"--budget {budget_s:g}s{seeded}"
    )
    return _line(printed, "Train ", "No clear winner")


def _experiments(seeded: str) -> Commands:
    """Each changes one thing of the first training, and says what to expect of it."""
    ranked, breaking = _ranked()
    yield f"train {_model()} --val data/val --epochs 5{seeded}"
    first, both = ranked[0], f"{ranked[0]}+{ranked[1]}"
    tries = [
        ("A little less weight decay changes nothing in so few steps", "training.weight_decay=0.04", "same accuracy"),
        (
            "Without the weights of the letters five epochs are too few",
            "from_scratch=true training.epochs=5",
            "down accuracy",
        ),
        (f"{first} comes first in the ranking by coverage", f"augmentation={first}", "up accuracy"),
        (f"{first} and {ranked[1]} cover different test images", f"augmentation={both}", "up accuracy"),
        ("Smoother labels help where some are wrong", "training.label_smoothing=0.1", "up accuracy"),
        ("Twice as many epochs let the network learn more", "training.epochs=10", "up accuracy"),
    ]
    if breaking:
        why = f"The ranking calls {breaking[0]} label-breaking"
        tries.insert(2, (why, f"augmentation={breaking[0]}", "down accuracy"))
    for why, change, expected in tries:
        settings = [word for setting in change.split() for word in ("--set", setting)]
        yield shlex.join(["try", why, *settings, "--expect", expected])
    return _verdicts(len(tries))


def _sweep(seeded: str) -> Commands:
    ranked, _ = _ranked()
    space = f"--space augmentation=none,{','.join(ranked[:3])}"
    printed = yield (
        f'sweep "which augmentation and which rate?" --budget {SWEEP_S}s --most-trials 14 {_model()} --val data/val '
        f"--epochs 3 {space}{seeded}"
    )
    return f"{_line(printed)} {_counted()}"


def _errors() -> Commands:
    printed = yield "errors"
    return _line(printed)


def _predictions(seeded: str) -> Commands:
    from eyeshot.ledger import find_experiments

    runs = [run for record in find_experiments() if record.author_kind != "sweep" for run in record.runs]
    printed = yield f"ensemble {' '.join(runs)}{seeded}"
    yield f"predict {runs[0]} advised"
    return _line(printed)


def _report() -> Commands:
    printed = yield "report"
    return _line(printed)


def _line(printed: str, *begins: str) -> str:
    """The line of the answer: the first that begins so, or else the first that is no note."""
    lines = [line for line in printed.splitlines() if line and not line.startswith("- ")]
    return next((line for line in lines if line.startswith(begins)), lines[0] if lines else "")


def _network(name: str) -> str:
    return f"networks/{name.partition('.')[0]}"


def _weights(name: str) -> str:
    return f"{_network(name)}/weights.safetensors"


def _model() -> str:
    """The options of the model that the ranking advises."""
    name = json_module.loads(Path("eyeshot-out", "models", "models.json").read_text("utf-8"))["advised"]["name"]
    return f"--model {name} --weights {_weights(name)} --size {SIZE}"


def _ranked() -> tuple[list[str], list[str]]:
    """Names of the ranked augmentations, the first first, and of those that break labels."""
    report = json_module.loads(Path("eyeshot-out", "augmentations", "augmentations.json").read_text("utf-8"))
    by_role: dict[str, list[Any]] = {"ranked": [], "label-breaking": []}
    for candidate in report["candidates"]:
        by_role.setdefault(candidate["role"], []).append(candidate)
    ranked = sorted(by_role["ranked"], key=lambda candidate: candidate["rank"])
    breaking = sorted(by_role["label-breaking"], key=lambda candidate: candidate["score"] or 0.0)
    return [candidate["name"] for candidate in ranked], [candidate["name"] for candidate in breaking]


def _counted() -> str:
    """How many experiments there are, and how many were judged: a trial that stopped early has no verdict."""
    from eyeshot.ledger import find_experiments

    gains = [record.gain for record in find_experiments()]
    return f"{len(gains):,} experiments so far, {sum(gain is not None for gain in gains):,} with a verdict."


def _verdicts(count: int) -> str:
    """What came of the experiments of a person, and the largest gain."""
    from eyeshot.ledger import find_experiments

    own = [record for record in find_experiments() if record.author_kind != "sweep"]
    tried = [record for record in own if record.expected]
    verdicts = [record.verdict for record in tried if record.verdict is not None]
    counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
    words = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    answer = f"{count} {plural(count, 'experiment')}, each expectation stated first: {words}."
    clean = next((record.got for record in own if record.parent is None and record.got is not None), None)
    if clean is not None:
        answer += (
            f" Clean training has {percent(clean.value, 1)} on images like those of the test (data/val, n = {clean.n})."
        )
    gains = [(record.got, record.why) for record in tried if record.got is not None and record.gain == "better"]
    if gains:
        got, why = max(gains, key=lambda pair: pair[0].value)
        answer += f" The largest gain: {why} ({percent(got.value, 1)}, {percent(got.low)} to {percent(got.high)})."
    return answer


class _Runner:
    """Runs command lines in the project's folder, and keeps what they printed, so that a later call goes on."""

    def __init__(self, folder: Path, seed: int, progress: Progress) -> None:
        self.folder, self.seed, self.progress = folder, seed, progress
        state = _read_state(folder)
        self.before: list[dict[str, Any]] = state.get("done", [])
        """Commands of earlier sittings that were not met yet."""
        self.done: list[dict[str, Any]] = []
        self.planned = [step.seconds for step in steps_of(seed, 0.0)]
        self._prepare()

    def take(self, number: int, step: Step) -> dict[str, Any]:
        """Run a step, or repeat what it said."""
        began = len(self.done)
        commands = step.commands()
        try:
            line = next(commands)
            while True:
                line = commands.send(self._printed(line, number, step))
        except StopIteration as end:
            own = self.done[began:]
            return {
                "name": step.name, "answer": end.value, "seconds": round(sum(each["seconds"] for each in own), 1),
                "commands": [f"eyeshot {each['command']}" for each in own],
            }  # fmt: skip

    def _prepare(self) -> None:
        from eyeshot.data import write_digits

        if not self.before:
            self._keep()  # first, so that the folder is known as a demo's
        self.progress.sub("writing the images")(0, 0)
        write_digits(self.folder, seed=self.seed)

    def _printed(self, line: str, number: int, step: Step) -> str:
        if self.before and self.before[0]["command"] == line:
            self.done.append(self.before.pop(0))
            return str(self.done[-1]["printed"])
        self.before = []  # what follows rests on a command that is another now
        began = time.monotonic()
        shown = self.progress.sub(f"{number} of {len(self.planned)}, {step.name}")
        total, past = sum(self.planned), sum(self.planned[: number - 1])

        def tell(text: str) -> None:
            within = min(time.monotonic() - began, step.seconds)
            shown(int(past + within), int(total), text)

        tell(line.partition(" --")[0])
        printed = self._run(line, tell)
        seconds = time.monotonic() - began
        self.done.append({"command": line, "printed": printed, "seconds": round(seconds, 2)})
        self._keep()
        return printed

    def _run(self, line: str, tell: Callable[[str], None]) -> str:
        """Run one command as if it were typed.

        Raises:
            EyeshotError: it failed.
            KeyboardInterrupt: it was interrupted.
        """
        from eyeshot.cli import app

        words, printed = shlex.split(line), io.StringIO()
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(f"$ eyeshot {line}\n")
            try:
                with _typed(words), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(_Told(log, tell)):
                    code = app(words, standalone_mode=False) or 0
            except SystemExit as end:  # an interrupted command ends so
                raise KeyboardInterrupt from end
            except EyeshotError as error:
                log.write(f"error: {error}\n")
                raise type(error)(f"eyeshot {line} (in {self.folder}): {error}") from error
            finally:
                log.write(f"{printed.getvalue()}\n")
        if code:
            raise EyeshotError(
                f"A command of the demo ended with exit code {code}: eyeshot {line}. {self.folder / LOG_FILE} has what "
                "it printed. The same command again continues."
            )
        return printed.getvalue()

    def _keep(self) -> None:
        """Store what was done, and the list of commands."""
        state = {"version": VERSION, "seed": self.seed, "done": self.done}
        with replacing(self.folder / STATE_FILE) as temporary:
            temporary.write_text(json_module.dumps(state, ensure_ascii=False, indent=1), encoding="utf-8")
        lines = ["# What eyeshot demo did in this folder: type any of it here, or change it.", ""]
        lines += [f"eyeshot {each['command']}" for each in self.done]
        with replacing(self.folder / COMMANDS_FILE) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


class _Told(io.TextIOBase):
    """Where the progress of a command goes: into the log, and its last line beside the step's name."""

    def __init__(self, log: io.TextIOBase, tell: Callable[[str], None]) -> None:
        self._log, self._tell = log, tell

    def write(self, text: str) -> int:
        """Take a part of the progress."""
        self._log.write(text)
        words = [line for line in text.splitlines() if line.strip()]
        if words:
            self._tell(words[-1])
        return len(text)


@contextlib.contextmanager
def _typed(words: list[str]) -> Iterator[None]:
    """Make the words those of the command line: commands keep what was typed in their reports."""
    before = sys.argv
    sys.argv = ["eyeshot", *words]
    try:
        yield
    finally:
        sys.argv = before


def _folder(out: str | Path | None, seed: int) -> Path:
    """The project's folder, which is made.

    Raises:
        InputError: it holds something else, or a demo of another seed.
    """
    from eyeshot.core import find_workspace

    if out is None:
        out = find_workspace().results(f"demo-{seed}" if seed else "demo")
    folder = Path(out).resolve()
    state = _read_state(folder)
    if not state and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"--out must be a new folder, or that of an earlier demo, got {str(folder)!r}, which holds something else. "
            "Name another."
        )
    if state and state["seed"] != seed:
        raise InputError(
            f"--out must be a new folder or one of a demo with --seed {seed}, got {str(folder)!r}, which was made with "
            f"--seed {state['seed']}. Name another folder, or that seed."
        )
    return make_folder(folder)


def _read_state(folder: Path) -> dict[str, Any]:
    """What an earlier sitting left; empty without one that can be read."""
    try:
        state = json_module.loads((folder / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) and state.get("version") == VERSION and "seed" in state else {}
