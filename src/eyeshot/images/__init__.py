"""Images: find them, read them once, keep copies together, hold out and sample."""

from eyeshot.images.copies import copy_groups
from eyeshot.images.finding import read_images
from eyeshot.images.geometry import Fit, Geometry, Interpolation
from eyeshot.images.headers import MINIMUM_SIDE
from eyeshot.images.listing import check_apart
from eyeshot.images.pixels import PixelRows, Pixels, PixelStore
from eyeshot.images.reading import UnreadableImageError, decode
from eyeshot.images.skipped import Skipped, count_reasons, say_reasons
from eyeshot.images.splitting import hold_out, sample_rows
from eyeshot.images.table import ImageTable

__all__ = [
    "MINIMUM_SIDE",
    "Fit",
    "Geometry",
    "ImageTable",
    "Interpolation",
    "PixelRows",
    "PixelStore",
    "Pixels",
    "Skipped",
    "UnreadableImageError",
    "check_apart",
    "copy_groups",
    "count_reasons",
    "decode",
    "hold_out",
    "read_images",
    "sample_rows",
    "say_reasons",
]
