"""The numbers of a picture as pandas holds them, to be asked by column."""

from __future__ import annotations

import pandas as pd

from harness.render.drawn import Numbers


def framed(numbers: Numbers) -> pd.DataFrame:
    return pd.DataFrame(list(numbers.rows), columns=list(numbers.columns))
