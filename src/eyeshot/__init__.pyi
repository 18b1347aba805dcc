from .augment.catalogue import augmentation as augmentation
from .augment.catalogue import augmentations as augmentations
from .augment.catalogue_entry import Augmentation as Augmentation
from .augment.user import check_augmentation as check_augmentation
from .augment.user import custom_augmentation as custom_augmentation
from .core.errors import EyeshotError as EyeshotError
from .data.table import ImageTable as ImageTable
from .data.table import read_images as read_images
from .rankings.augmentations.result import AugmentationRanking as AugmentationRanking
from .rankings.augmentations.run import rank_augmentations as rank_augmentations
from .reports.cover_page import write_ranking_page as write_ranking_page

__version__: str
