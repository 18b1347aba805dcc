"""What every other package stands on, each algorithm once: statistics, text, progress, keys, the environment."""

from __future__ import annotations

from eyeshot.core.array_cache import ArrayCache, Failure, read_description
from eyeshot.core.display import ProgressDisplay
from eyeshot.core.environment import describe_hardware, describe_versions
from eyeshot.core.hashing import key_of
from eyeshot.core.parallel import default_workers, in_parallel, keep_freed_memory
from eyeshot.core.progress import SILENT, CallbackProgress, Progress
from eyeshot.core.statistics import (
    NORMAL_95,
    HalfSamples,
    auc_half_width,
    cluster_mean,
    draw_half_samples,
    fisher_interval,
    half_sample_error,
    half_sample_interval,
    paired_difference,
    spearman,
    spearman_interval,
    student_mean,
    wilson,
)
from eyeshot.core.text import NOTHING, duration, listing, megabytes, percent, plural, points, refused_option, shortened

__all__ = [
    "NORMAL_95",
    "NOTHING",
    "SILENT",
    "ArrayCache",
    "CallbackProgress",
    "Failure",
    "HalfSamples",
    "Progress",
    "ProgressDisplay",
    "auc_half_width",
    "cluster_mean",
    "default_workers",
    "describe_hardware",
    "describe_versions",
    "draw_half_samples",
    "duration",
    "fisher_interval",
    "half_sample_error",
    "half_sample_interval",
    "in_parallel",
    "keep_freed_memory",
    "key_of",
    "listing",
    "megabytes",
    "paired_difference",
    "percent",
    "plural",
    "points",
    "read_description",
    "refused_option",
    "shortened",
    "spearman",
    "spearman_interval",
    "student_mean",
    "wilson",
]
