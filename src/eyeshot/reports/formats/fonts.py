"""Korean fonts that the extra `pdf` brings (Noto Sans KR, SIL Open Font License 1.1)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "pylopdf_fonts_ko"


def korean_fonts() -> list[Path]:
    """Files of Noto Sans KR; empty where the extra is not installed."""
    package = find_spec(PACKAGE)
    places = package.submodule_search_locations if package else None
    return sorted(file for place in places or () for file in Path(place).glob("NotoSansKR-*.otf"))
