"""Names, parameters and pixels of the catalogue stay as published: cached features and rankings rest on them.

After a change that is meant, raise the operation's `version` and write the file anew:
`python -m tests.augment.test_golden`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eyeshot.augment import Pool, augmentation, augmentations, make_samples, sample_keys, stack
from eyeshot.testing.augmentations import sample_images

FILE = Path(__file__).with_name("golden_samples.json")
NAMES = [entry.name for entry in augmentations()]
SHAPE = (40, 28)
LEVELS = 0.25  # rounding on another machine moves a few pixels by one grey level


def summary(name: str) -> dict[str, object]:
    """Keys of the samples, sums of the drawn parameters, and mean grey levels of the quarters of each sample."""
    entry = augmentation(name)
    images = sample_images(*SHAPE)
    pool = Pool(images, [f"{number:032x}" for number in range(len(images))])
    rows = range(len(pool))
    generators = [np.random.Generator(np.random.Philox(key=number)) for number in rows]
    parameters = stack([entry.operation.draw(generator, SHAPE) for generator in generators])
    samples = make_samples(entry, pool, rows, seed=3, draw=1)
    quarters = torch.nn.functional.adaptive_avg_pool2d(samples.images.float(), 2).flatten(1)
    return {
        "fingerprint": entry.fingerprint,
        "first key": sample_keys(entry, pool, rows, seed=3, draw=1)[0],
        "parameters": {key: round(float(values.double().sum()), 4) for key, values in sorted(parameters.items())},
        "weights": [round(value, 4) for value in samples.weights[:, 0].tolist()],
        "success": samples.success.tolist(),
        "quarters": [[round(value, 1) for value in sample] for sample in quarters.tolist()],
    }


@pytest.fixture(scope="module")
def golden() -> dict[str, dict[str, object]]:
    """The published summaries by name."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_catalogue_has_the_published_names_in_their_order(golden):
    assert list(golden) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_fingerprint_key_parameters_and_pixels_are_the_published_ones(golden, name):
    expected, now = golden[name], summary(name)
    for exact in ("fingerprint", "first key", "success"):
        assert now[exact] == expected[exact], exact
    assert now["parameters"] == pytest.approx(expected["parameters"], rel=1e-5, abs=1e-3)
    assert now["weights"] == pytest.approx(expected["weights"], abs=1e-3)
    assert np.abs(np.array(now["quarters"]) - np.array(expected["quarters"])).max() <= LEVELS


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(summary(name))}" for name in NAMES]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
