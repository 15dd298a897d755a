"""`termlog`, `termwarn`, `termerror`."""

from __future__ import annotations

import pytest

import besom


def test_each_line_has_besoms_name_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, with what it is."""
    besom.termlog("one\ntwo")
    besom.termwarn("three")
    besom.termerror("four")
    besom.termlog("five", prefix=False)
    besom.termlog("six", newline=False)
    besom.termlog()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == ("besom: one\nbesom: two\nbesom: WARNING three\nbesom: ERROR four\nfive\nbesom: sixbesom: \n")


def test_once_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Without `repeat` a text is printed once; another level, or another text, is another."""
    for _ in range(3):
        besom.termwarn("once only", repeat=False)
        besom.termerror("once only", repeat=False)
    besom.termwarn("once only")
    assert capsys.readouterr().err.splitlines() == [
        "besom: WARNING once only",
        "besom: ERROR once only",
        "besom: WARNING once only",
    ]
