from eyeshot.reports.page import count, number, percent, points, sentence, shortened, signed, visible


def test_control_characters_of_file_names_are_seen() -> None:
    assert visible("a\nb\tc\x7f") == "a␊b␉c␡"
    assert visible("고양이 🐈") == "고양이 🐈"


def test_long_names_keep_their_two_ends() -> None:
    text = shortened("a" * 50 + "z" * 50, 20)
    assert len(text) == 20
    assert text.startswith("aaa")
    assert text.endswith("zzz")
    assert "…" in text
    assert shortened("short", 20) == "short"


def test_numbers_are_written_for_reading() -> None:
    assert percent(0.614) == "61\u202f%"
    assert percent(-0.1) == "−10\u202f%"
    assert number(1.234) == "1.23"
    assert count(12345) == "12,345"


def test_differences_carry_their_sign_and_zero_has_none() -> None:
    assert points(0.1234) == "+12.3"
    assert points(-0.0161) == "−1.6"
    assert points(-0.0001) == "0.0"
    assert signed(1234.5, 1) == "+1,234.5"


def test_what_is_not_known_is_a_dash() -> None:
    assert {percent(None), points(None), number(None), count(None), signed(None)} == {"–"}
    assert {percent(float("nan")), points(float("nan")), number(float("inf"))} == {"–"}


def test_fragments_become_one_sentence() -> None:
    assert sentence(["reaches more", "costs cats."]) == "Reaches more; costs cats."
    assert sentence([]) == ""
