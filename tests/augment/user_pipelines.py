"""A module as users write them: what of it can be used, and what cannot."""

PIPELINES = """
import random
import numpy as np
import PIL.ImageOps
import torch
from torchvision import transforms
from torchvision.transforms import v2
import eyeshot
from eyeshot.augment import Augmentation, Operation

class Haze(Operation):
    "A veil of grey."
    def __init__(self, most):
        self.most = most
    def draw(self, random, shape):
        return {"share": random.uniform(0, self.most)}
    def apply(self, images, parameters):
        share = parameters["share"].view(-1, 1, 1, 1)
        return (images * (1 - share) + 200 * share).round().to(torch.uint8)

modern = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3, 0.3, 0.1)])
old = transforms.Compose([transforms.RandomRotation(20), transforms.ToTensor()])
to_float = v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)])
erasing = transforms.Compose([transforms.RandomErasing(p=0.5)])
pictures = v2.Compose([v2.RandomVerticalFlip(), v2.Lambda(lambda image: PIL.ImageOps.solarize(image, 100))])
single = v2.RandomInvert()
haze = Haze(0.6)
named = Augmentation("mirror", "masking", "", 0.5, "Mine.", "", "", haze)
def numpy_noise(image):
    pixels = np.asarray(image, dtype=float) + np.random.normal(0, 9, (image.height, image.width, 3))
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
def python_coin(image):
    return PIL.ImageOps.mirror(image) if random.random() < 0.5 else image
def with_generator(image, random):
    return torch.roll(image, int(random.integers(1, 9)), 2)

@eyeshot.custom_augmentation(strength="one of three channels")
def drop(image, random):
    "A channel goes black."
    image[random.integers(3)] = 0
    return image

@eyeshot.custom_augmentation(deterministic=True, probability=1)
def flipped(image):
    return image.flip(2)

class NotMade(Haze):
    pass
number = 3
normalized = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
larger = v2.Compose([v2.Resize(40), v2.RandomHorizontalFlip(), v2.RandomCrop(36)])
crop = v2.RandomResizedCrop(32)
one_channel = transforms.Compose([v2.Compose([transforms.Grayscale()]), transforms.ToTensor()])
repaired = v2.Compose([v2.Grayscale(), v2.Grayscale(3), v2.Lambda(lambda image: image[:2])])
whole_numbers = v2.Compose([v2.RandomInvert(), v2.ToDtype(torch.int64)])
unscaled = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32)])
not_a_number = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Lambda(lambda x: x / x.max())])
array = lambda image: np.asarray(image)
def from_the_clock(image):
    return PIL.ImageOps.solarize(image, int(np.random.default_rng().integers(255)))
def fails_on_white(image):
    if image.getpixel((0, 0)) == (255, 255, 255):
        raise ValueError("no white, please")
    return image
failing = v2.Compose([v2.RandomHorizontalFlip(), v2.Lambda(fails_on_white)])
@eyeshot.custom_augmentation()
def too_small(image, random):
    return image[:, :-1]
class WrongType(Haze):
    def apply(self, images, parameters):
        return images.float()
wrong_type = WrongType(0.5)
"""
GOOD = ["modern", "old", "to_float", "erasing", "pictures", "single", "haze", "named", "numpy_noise", "python_coin",
        "with_generator", "drop", "flipped"]  # fmt: skip
