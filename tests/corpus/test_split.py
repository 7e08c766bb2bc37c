from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.corpus.split import boundaries, parse_split
from rnnscope.errors import UserError


@pytest.mark.parametrize(
    ("split", "shares"),
    [
        ("90/5/5", (0.9, 0.05, 0.05)),
        ("90/10", (0.9, 0.1, 0)),
        ("80/20/0", (0.8, 0.2, 0)),
        ("50.5/49.5", (0.505, 0.495, 0)),
    ],
)
def test_good_splits(split: str, shares: tuple[float, float, float]) -> None:
    assert parse_split(split) == pytest.approx(shares)


@pytest.mark.parametrize(
    "split",
    ["", "90", "90/5", "90/5/5/0", "a/b", "100/0", "0/100", "95/0/5", "110/-10", "nan/10", "inf/-inf", "90 5 5"],
)
def test_bad_splits_say_what_is_asked_for(split: str) -> None:
    with pytest.raises(UserError, match=r"like 90/5/5 or 90/10"):
        parse_split(split)


def test_a_split_that_does_not_add_up_says_so() -> None:
    with pytest.raises(UserError, match="add up to 95, not 100"):
        parse_split("90/5")


@given(st.integers(0, 10**9), st.integers(1, 98), st.integers(0, 50))
def test_parts_follow_each_other_and_cover_the_text(total: int, training: int, test: int) -> None:
    validation = 100 - training - test
    if validation < 1:
        return
    train_end, validation_end, end = boundaries(total, parse_split(f"{training}/{validation}/{test}"))
    assert 0 <= train_end <= validation_end <= end == total
    assert abs(train_end - total * training / 100) <= 0.5 + 1e-6 * total
    if test == 0:
        assert validation_end == total


def test_shakespeare_is_cut_where_the_facts_cut_it() -> None:
    assert boundaries(1_115_394, parse_split("90/10"))[0] == round(0.9 * 1_115_394)
