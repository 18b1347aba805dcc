"""Images: find them, read them once, keep copies together, hold out and sample."""

from eyeshot.images.copies import copy_groups
from eyeshot.images.finding import read_images
from eyeshot.images.folds import ALWAYS_TRAIN, make_folds
from eyeshot.images.geometry import Fit, Geometry, Interpolation
from eyeshot.images.headers import MINIMUM_SIDE, Look, Progress, default_workers
from eyeshot.images.listing import check_apart, check_folder
from eyeshot.images.pixels import PixelRows, Pixels, PixelStore, in_threads
from eyeshot.images.reading import UnreadableImageError, decode, os_reason, strict_pillow
from eyeshot.images.skipped import Skipped, count_reasons, say_reasons
from eyeshot.images.splitting import content_hashes, hold_out, sample_rows
from eyeshot.images.table import ImageTable
from eyeshot.images.upright import UprightImage, decode_upright

__all__ = [
    "ALWAYS_TRAIN",
    "MINIMUM_SIDE",
    "Fit",
    "Geometry",
    "ImageTable",
    "Interpolation",
    "Look",
    "PixelRows",
    "PixelStore",
    "Pixels",
    "Progress",
    "Skipped",
    "UnreadableImageError",
    "UprightImage",
    "check_apart",
    "check_folder",
    "content_hashes",
    "copy_groups",
    "count_reasons",
    "decode",
    "decode_upright",
    "default_workers",
    "hold_out",
    "in_threads",
    "make_folds",
    "os_reason",
    "read_images",
    "sample_rows",
    "say_reasons",
    "strict_pillow",
]
