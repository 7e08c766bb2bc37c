"""Where a text is cut into training, validation and test parts."""

from __future__ import annotations

import math

from rnnscope.errors import UserError


def parse_split(split: str) -> tuple[float, float, float]:
    """Return the (training, validation, test) shares of a split like "90/5/5" or "90/10"; they add up to 1.

    Raises:
        UserError: not two or three numbers that add up to 100, or no training or validation part.
    """
    problem = f"--split {split}: give training/validation/test in per cent, like 90/5/5 or 90/10"
    try:
        shares = [float(share) / 100 for share in split.split("/")]
    except ValueError:
        raise UserError(problem) from None
    if len(shares) not in (2, 3) or not all(math.isfinite(share) for share in shares):
        raise UserError(problem)
    if abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"{problem} (these add up to {sum(shares) * 100:g}, not 100)")
    training, validation, test = (*shares, 0.0)[:3]
    if training <= 0 or validation <= 0 or test < 0:
        raise UserError(f"{problem} (training and validation must be above 0)")
    return training, validation, test


def boundaries(total: int, shares: tuple[float, float, float]) -> tuple[int, int, int]:
    """Return where training, validation and test end in a text of `total` characters.

    Rounded to the nearest character; without a test share the validation part takes all of the rest.
    """
    training, validation, test = shares
    train_end = round(total * training)
    validation_end = round(total * (training + validation)) if test else total
    return train_end, validation_end, total
