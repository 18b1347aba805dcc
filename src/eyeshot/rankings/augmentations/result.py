"""The result of `rank_augmentations()`: the report, and the arrays that only the page needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eyeshot.augment import PolicyStep, policy_text
from eyeshot.core import make_folder, replacing
from eyeshot.rankings.augmentations.report import ProjectionInfo, RankingReport
from eyeshot.training import write_policy_script

if TYPE_CHECKING:
    import polars as pl

POLICY_FILE, POLICY_SCRIPT = "policy.toml", "policy.py"


@dataclass(frozen=True)
class Projection:
    """A joint map of all points."""

    info: ProjectionInfo
    xy: NDArray[np.float32]
    """(P, 2)"""


@dataclass(frozen=True)
class JointMap:
    """The points of the joint map; P points, the same for all projections.

    Attributes:
        cloud: (P,) name of the point's cloud: "train", "target", "validation", or a candidate's name.
        label: (P,) class number, -1 for target points.
        ids: (P,) id of the image (for an augmented sample: of its source image).
        thumbnails: uint8 (P, 32, 32, 3), RGB.
        covered_by_clean: (P,) 1 or 0 for target and validation points, -1 elsewhere.
        covered_by_best: (P,) 1 or 0 for target points (by the cloud of the advised candidate), -1 elsewhere.
        predicted: (P,) class number that the clean head predicts for validation points, -1 elsewhere.
        projections: PCA first.
        candidates: names of the mapped candidates, the winner first.
    """

    cloud: NDArray[np.str_]
    label: NDArray[np.int64]
    ids: NDArray[np.str_]
    thumbnails: NDArray[np.uint8]
    covered_by_clean: NDArray[np.int8]
    covered_by_best: NDArray[np.int8]
    predicted: NDArray[np.int64]
    projections: list[Projection]
    candidates: list[str]


@dataclass(frozen=True)
class Pictures:
    """Small pictures for the page; empty with --no-images.

    Attributes:
        samples: per candidate, uint8 (n, s, s, 3) samples of the same n source images; "clean" holds the originals.
        uncovered: uint8 (n, s, s, 3) target images that no candidate covers with a consistent label.
        uncovered_ids: ids of these target images.
    """

    samples: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    uncovered: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 64, 64, 3), np.uint8))
    uncovered_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AugmentationRanking:
    """The result of `rank_augmentations()`: the report, and data that only pictures need."""

    report: RankingReport
    map: JointMap | None
    pictures: Pictures
    policy: tuple[PolicyStep, ...] | None = None
    """Operations of the policy; none of them trains on clean images; None without `policy`."""

    def to_frame(self) -> pl.DataFrame:
        """One row per candidate: name, family, role, rank, group, score and combined with intervals, all scores."""
        import polars as pl

        rows = []
        for candidate in self.report.candidates:
            low, high = candidate.interval or (None, None)
            combined_low, combined_high = candidate.combined_interval or (None, None)
            rows.append(
                {
                    "name": candidate.name,
                    "family": candidate.family,
                    "model": candidate.model,
                    "role": candidate.role,
                    "rank": candidate.rank,
                    "group": candidate.group,
                    "score": candidate.score,
                    "low": low,
                    "high": high,
                    "combined": candidate.combined,
                    "combined_low": combined_low,
                    "combined_high": combined_high,
                    **candidate.scores.model_dump(),
                }
            )
        return pl.DataFrame(rows, infer_schema_length=None)

    def save(self, folder: str | Path) -> Path:
        """Write `augmentations.json`, `uncovered.csv` and the policy into `folder`; returns the path of the first.

        Raises:
            StorageError: the folder cannot be made or written.
        """
        import polars as pl

        folder = make_folder(Path(folder))
        path = folder / "augmentations.json"
        with replacing(path) as temporary:
            temporary.write_text(self.report.model_dump_json(indent=2), encoding="utf-8")
        if self.policy is not None and self.report.policy is not None:
            with replacing(folder / POLICY_FILE) as temporary:
                temporary.write_text(policy_text(self.policy, comments=[self.report.policy.words]), encoding="utf-8")
            write_policy_script(self.policy, folder / POLICY_SCRIPT)
        with replacing(folder / "uncovered.csv") as temporary:
            pl.DataFrame({"id": self.report.uncovered}, schema={"id": pl.String}).write_csv(temporary)
        return path

    def _repr_html_(self) -> str:
        """A plain table for notebooks."""
        from html import escape

        rows = "".join(
            f"<tr><td>{candidate.rank or ''}</td><td>{escape(candidate.name)}</td><td>{candidate.role}</td>"
            f"<td>{'' if candidate.score is None else f'{candidate.score:+.3f}'}</td>"
            f"<td>{'' if candidate.combined is None else f'{candidate.combined:+.2f}'}</td>"
            f"<td>{escape(candidate.reasons[0]) if candidate.reasons else ''}</td></tr>"
            for candidate in self.report.candidates
        )
        return (
            f"<p><b>{escape(self.report.headline)}</b> {escape(self.report.next_step)}</p>"
            f"<p>{escape(self.report.trust)}</p><table><tr><th>rank</th><th>candidate</th><th>role</th>"
            f"<th>score</th><th>combined</th><th>reason</th></tr>{rows}</table>"
        )
