"""What is run, in this order, in one folder; a command that is renamed or moved is changed here alone."""

from __future__ import annotations

from typing import Literal, NamedTuple

Printed = Literal["text", "json", "jsonl"]

MODEL = ("--model", "test_resnet.r160_in1k", "--weights", "weights.safetensors", "--size", "32", "--device", "cpu")
OWN_MODEL = (
    "--model", "golden_models:first", "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--size", "32",
    "--device", "cpu",
)  # fmt: skip
AUDIT = ("audit",)
RANK = ("rank", "augmentations")
LIST = ("list", "augmentations")
CANDIDATES = (
    "invert",
    "mirror",
    "rotate-15",
    "half-turns",
    "dilation",
    "mixup",
    "erasing",
    "elastic",
    "gaussian-noise",
    "trivial-augment",
)
SMALL_RANKING = (
    "--budget", "0", "--max-images", "60", "--samples-per-image", "2", "--no-images",
    *(word for name in CANDIDATES for word in ("--candidates", name)),
)  # fmt: skip
SHORT = ("--epochs", "2", "--batch-size", "32", "--learning-rate", "0.0001")
PLAIN = ("--no-decisions", "--no-split")


class Step(NamedTuple):
    """One command.

    Attributes:
        name: folder of its golden files; it stays when the command is renamed.
        arguments: what is typed after `eyeshot`.
        files: files that it writes and that are compared, relative to the folder that it runs in.
        prints: what standard output holds.
        code: exit code.
    """

    name: str
    arguments: tuple[str, ...]
    files: tuple[str, ...] = ()
    prints: Printed = "text"
    code: int = 0


STEPS = (
    Step("init", ("init", "train", "--test", "test"), ("eyeshot.toml",)),
    Step(
        "audit",
        (*AUDIT, "--no-images"),
        ("eyeshot-out/audit/audit.json", "eyeshot-out/audit/findings.csv"),
    ),
    Step(
        "audit-with-model",
        (*AUDIT, "train", "--test", "test", *MODEL, "--quick", "--no-images", "--out", "audit-model", "--json"),
        ("audit-model/findings.csv",),
        prints="json",
    ),
    Step(
        "audit-labelled-list",
        (
            *(*AUDIT, "flat", "--labels", "labels.csv", "--probabilities", "probabilities.csv"),
            *("--no-images", "--out", "audit-list", "--json"),
        ),
        prints="json",
    ),
    Step("audit-missing-folder", (*AUDIT, "nowhere", "--json"), prints="json", code=2),
    Step("review", ("review", "--no-open")),
    # The ranking: alone, then on data that decisions and a split shape.
    Step(
        "rank-augmentations",
        (*RANK, *MODEL, *SMALL_RANKING, *PLAIN, "--out", "rank"),
        ("rank/augmentations.json", "rank/uncovered.csv"),
    ),
    Step(
        "rank-augmentations-own-model",
        (*RANK, *OWN_MODEL, *SMALL_RANKING, *PLAIN, "--baseline-aug", "mirror", "--out", "rank-own", "--json"),
        prints="json",
    ),
    Step(
        "rank-augmentations-without-test",
        (
            *(*RANK, "flat", "--labels", "labels.csv", *MODEL, *SMALL_RANKING, "--val-share", "0.3"),
            *(*PLAIN, "--fit", "pad", "--seed", "3", "--out", "rank-list", "--json"),
        ),
        prints="json",
    ),
    Step(
        "rank-augmentations-two-models",
        (*RANK, *OWN_MODEL, "--model", "golden_models:second", *SMALL_RANKING, *PLAIN, "--out", "rank-models"),
    ),
    Step(
        "rank-augmentations-confirmed",
        (*RANK, *MODEL, *SMALL_RANKING, *PLAIN, "--full-train", "1", "--out", "rank-confirmed"),
    ),
    Step("rank-augmentations-dry-run", (*RANK, *MODEL, *SMALL_RANKING, *PLAIN, "--dry-run")),
    Step("rank-augmentations-unknown", (*RANK, *MODEL, "--candidates", "no-such", "--json"), prints="json", code=2),
    Step("list-augmentations", (*LIST, "--json"), prints="json"),
    Step("list-augmentations-table", (*LIST, "geometric", "invert")),
    Step("preview", ("preview", "test/leak.bmp", "invert", "mirror", "--size", "32", "--out", "preview.png")),
    Step(
        "split-val",
        ("split", "--val-share", "0.25", "--match-test", "flat", "--out", "split-val.json"),
        ("split-val.json",),
    ),
    Step("decisions-relabel", ("decisions", "add", "relabel", "train/0/0010.bmp", "--given", "0", "--label", "7")),
    Step("decisions-relabel-copy", ("decisions", "add", "relabel", "train/7/two-labels.bmp", "--label", "1")),
    Step("decisions-drop", ("decisions", "add", "drop", "train/1/0001.bmp", "--reason", "smudged")),
    Step("decisions-apply-dry-run", ("decisions", "apply", "--policy", "keep-one", "--dry-run")),
    Step("decisions-apply", ("decisions", "apply", "--policy", "keep-one"), ("decisions.jsonl",)),
    Step("decisions-undo", ("decisions", "undo", "--last", "1")),
    Step("decisions-list", ("decisions", "list", "--all", "--json"), prints="json"),
    Step("decisions-table", ("decisions", "list")),
    Step("decisions-compare", ("decisions", "compare", "--folds", "3")),
    Step("decisions-export", ("decisions", "export", "theirs.csv"), ("theirs.csv",)),
    Step("decisions-export-lines", ("decisions", "export", "theirs.jsonl"), ("theirs.jsonl",)),
    Step(
        "decisions-merge",
        ("decisions", "merge", "theirs.jsonl", "--decisions-file", "merged.jsonl"),
        ("merged.jsonl",),
    ),
    Step("split", ("split", "--folds", "3", "--small-classes", "train", *MODEL[:4]), ("split.json",)),
    Step("manifest", ("manifest", "export", "--csv", "clean.csv"), ("clean.csv",)),
    Step(
        "rank-augmentations-decided",
        (*RANK, *MODEL, *SMALL_RANKING, "--fold", "1", "--seed", "1", "--out", "rank-decided", "--json"),
        ("rank-decided/uncovered.csv",),
        prints="json",
    ),
    Step("train-dry-run", ("train", *MODEL, *SHORT, "--fold", "0", "--augment", "invert", "--dry-run")),
    Step(
        "train",
        ("train", *MODEL, *SHORT, "--fold", "0", "--augment", "invert", "--out", "run"),
        ("run/result.json",),
    ),
    Step(
        "train-plain",
        ("train", *MODEL, *SHORT, *PLAIN, "--val-share", "0.3", "--seed", "2", "--out", "run-plain", "--json"),
        prints="json",
    ),
    Step("cache-show", ("cache", "show")),
    Step("cache-clear", ("cache", "clear")),
)  # fmt: skip

HELP = (
    (),
    AUDIT,
    RANK[:1],
    RANK,
    LIST[:1],
    LIST,
    ("list", "models"),
    ("list", "optimizers"),
    ("list", "schedules"),
    ("models",),
    ("models", "fetch"),
    ("rank", "models"),
    ("rank", "optimizers"),
    ("script",),
    ("cache",),
    ("cache", "clear"),
    ("cache", "show"),
    ("compare",),
    ("decisions",),
    ("decisions", "add"),
    ("decisions", "apply"),
    ("decisions", "compare"),
    ("decisions", "export"),
    ("decisions", "list"),
    ("decisions", "merge"),
    ("decisions", "undo"),
    ("demo",),
    ("ensemble",),
    ("errors",),
    ("init",),
    ("manifest",),
    ("manifest", "export"),
    ("predict",),
    ("preview",),
    ("report",),
    ("review",),
    ("split",),
    ("submit",),
    ("train",),
    ("write",),
    ("try",),
    ("log",),
    ("sweep",),
    ("pace",),
    ("open",),
    ("runs",),
    ("show",),
    ("diff",),
    ("learned",),
    ("insight",),
    ("insights",),
    ("act",),
    ("tag",),
    ("note",),
    ("queue",),
    ("ledger",),
    ("queue", "add"),
    ("queue", "drop"),
    ("queue", "first"),
    ("queue", "pause"),
    ("queue", "resume"),
    ("ledger", "rebuild"),
    ("ledger", "merge"),
    ("ledger", "export"),
)
