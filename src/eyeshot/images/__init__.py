"""Images: find them, read them once, keep copies together, hold out and sample.

Names are loaded when first used: the processes that decode need no tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.images.copies import copy_groups
    from eyeshot.images.failures import read_content, undecodable
    from eyeshot.images.finding import read_images
    from eyeshot.images.folds import ALWAYS_TRAIN, make_folds
    from eyeshot.images.geometry import Geometry
    from eyeshot.images.headers import Keep, Look
    from eyeshot.images.listing import check_apart, check_folder
    from eyeshot.images.pixels import PixelRows, Pixels, PixelStore
    from eyeshot.images.reading import UnreadableImageError, decode, os_reason, strict_pillow
    from eyeshot.images.skipped import Skipped
    from eyeshot.images.splitting import content_hashes, hold_out, sample_rows
    from eyeshot.images.table import ImageTable
    from eyeshot.images.upright import UprightImage, decode_upright

__all__ = [
    "ALWAYS_TRAIN",
    "Geometry",
    "ImageTable",
    "Keep",
    "Look",
    "PixelRows",
    "PixelStore",
    "Pixels",
    "Skipped",
    "UnreadableImageError",
    "UprightImage",
    "check_apart",
    "check_folder",
    "content_hashes",
    "copy_groups",
    "decode",
    "decode_upright",
    "hold_out",
    "make_folds",
    "os_reason",
    "read_content",
    "read_images",
    "sample_rows",
    "strict_pillow",
    "undecodable",
]

_HOME = {
    "ALWAYS_TRAIN": "folds",
    "Geometry": "geometry",
    "ImageTable": "table",
    "Keep": "headers",
    "Look": "headers",
    "PixelRows": "pixels",
    "PixelStore": "pixels",
    "Pixels": "pixels",
    "Skipped": "skipped",
    "UnreadableImageError": "reading",
    "UprightImage": "upright",
    "check_apart": "listing",
    "check_folder": "listing",
    "content_hashes": "splitting",
    "copy_groups": "copies",
    "decode": "reading",
    "decode_upright": "upright",
    "hold_out": "splitting",
    "make_folds": "folds",
    "os_reason": "reading",
    "read_content": "failures",
    "read_images": "finding",
    "sample_rows": "splitting",
    "strict_pillow": "reading",
    "undecodable": "failures",
}

__getattr__ = names_from(__name__, _HOME)
