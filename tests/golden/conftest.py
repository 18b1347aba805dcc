"""The option that writes golden files anew."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        default=False,
        help="Write the golden files of tests/golden anew. They change on purpose only.",
    )


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    # The option is unknown where this folder was not named on the command line; then nothing is written.
    return bool(request.config.getoption("update_golden", default=False))
