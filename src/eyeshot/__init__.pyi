from .augment.catalogue import augmentation as augmentation
from .augment.catalogue import augmentations as augmentations
from .augment.catalogue_entry import Augmentation as Augmentation
from .augment.user import check_augmentation as check_augmentation
from .augment.user import custom_augmentation as custom_augmentation
from .core.errors import EyeshotError as EyeshotError
from .data.finding import read_images as read_images
from .data.table import ImageTable as ImageTable
from .rankings.augmentations.cover import cover as cover
from .rankings.augmentations.result import Cover as Cover
from .reports.cover_page import write_cover_page as write_cover_page

__version__: str
