"""eyeshot: which augmentation fits this model on this data?

Names are loaded when first used, so that `import eyeshot` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyeshot.lazy import names_from

if TYPE_CHECKING:
    from eyeshot.augment import Augmentation, augmentation, augmentations, check_augmentation, custom_augmentation
    from eyeshot.coverage import Cover, cover
    from eyeshot.errors import EyeshotError
    from eyeshot.images import ImageTable, read_images
    from eyeshot.reports import write_cover_page

__version__ = "0.1.0"

__all__ = [
    "Augmentation",
    "Cover",
    "EyeshotError",
    "ImageTable",
    "__version__",
    "augmentation",
    "augmentations",
    "check_augmentation",
    "cover",
    "custom_augmentation",
    "read_images",
    "write_cover_page",
]

_HOME = {
    "Augmentation": "augment",
    "Cover": "coverage",
    "EyeshotError": "errors",
    "ImageTable": "images",
    "augmentation": "augment",
    "augmentations": "augment",
    "check_augmentation": "augment",
    "cover": "coverage",
    "custom_augmentation": "augment",
    "read_images": "images",
    "write_cover_page": "reports",
}

__getattr__ = names_from(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
