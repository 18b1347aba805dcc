from __future__ import annotations

import pytest

from eyeshot.core.errors import InputError
from eyeshot.data import Geometry


def test_every_choice_has_a_fingerprint_of_its_own() -> None:
    geometries = [
        Geometry(64),
        Geometry(65),
        Geometry(64, 0.9),
        Geometry(64, interpolation="bilinear"),
        Geometry(64, fit="pad"),
    ]
    assert len({geometry.fingerprint for geometry in geometries}) == 5


def test_another_pillow_has_another_fingerprint(monkeypatch) -> None:
    before = Geometry(64).fingerprint
    monkeypatch.setattr("PIL.__version__", "1.2.3")
    assert Geometry(64).fingerprint != before


@pytest.mark.parametrize(
    "values",
    [{"size": 0}, {"size": 64, "crop_share": 0.0}, {"size": 64, "crop_share": 1.5},
     {"size": 64, "interpolation": "area"}, {"size": 64, "fit": "stretch"}],
)  # fmt: skip
def test_values_out_of_range_are_errors(values) -> None:
    with pytest.raises(InputError, match="must"):
        Geometry(**values)
