"""Tables and decisions that tests make up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import xxhash
from hypothesis import strategies as st

from eyeshot.data import ImageTable
from eyeshot.data.decisions import Decision
from eyeshot.data.table import COLUMNS

START = datetime(2026, 11, 1, tzinfo=UTC)
LABELS = ("ant", "bee", "cat")


def key(picture: int) -> str:
    """Content key of a made-up picture."""
    return xxhash.xxh3_128_hexdigest(b"%d" % picture)


def table_of(images: list[tuple[str | None, int]], *, prefix: str = "") -> ImageTable:
    """A table of (label, number of the picture); equal numbers are equal bytes."""
    rows = [
        (f"{prefix}{label}/{row:04}.png", f"/{row}", label, 1, 8, 8, "RGB", key(picture))
        for row, (label, picture) in enumerate(images)
    ]
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    return ImageTable(frame, tuple(sorted({label for label, _ in images if label is not None})))


tables = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 15)), min_size=1, max_size=30).map(table_of)


@st.composite
def decision_lists(draw: st.DrawFn, *, most: int = 12) -> list[Decision]:
    """Random decisions, with undos of earlier ones and of undos; some about images that no table has."""
    made: list[Decision] = []
    for number in range(draw(st.integers(0, most))):
        kinds = ["drop", "drop-both", "keep", "keep-one", "relabel", "merge-classes", "group", "not-copy", "undo"]
        kind = draw(st.sampled_from(kinds if made else kinds[:-1]))
        pictures = draw(st.lists(st.integers(0, 20), min_size=2, max_size=4, unique=True))
        images = tuple(map(key, pictures))
        fields: dict[str, object] = {}
        if kind == "undo":
            fields["undoes"] = draw(st.sampled_from(made)).id
        elif kind == "merge-classes":
            fields["classes"] = tuple(draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=2, unique=True)))
            fields["label"] = draw(st.sampled_from((*LABELS, "new")))
        else:
            fields["images"] = images
        if kind == "keep-one":
            fields["keep"] = draw(st.sampled_from(images))
        if kind == "relabel":
            fields["label"] = draw(st.sampled_from((*LABELS, "new")))
        if kind in ("drop", "keep", "relabel"):
            fields["given"] = draw(st.sampled_from((None, None, *LABELS)))
        seconds = draw(st.integers(0, 60))  # in any order, and some at the same moment
        identity = f"{draw(st.integers(0, 2**40)):010x}-{number}"
        time = START + timedelta(seconds=seconds)
        made.append(Decision.model_validate({"id": identity, "time": time, "author": "ann", "kind": kind, **fields}))
    return made
