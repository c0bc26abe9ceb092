"""Values of other programs, with the scripts that made them in tests/reference/."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sm_alsgls import LowRankSUR
from sm_alsgls.datasets import load_grunfeld

REFERENCE = Path(__file__).parent / "reference"


def test_grunfeld_is_systemfits_iterated_sur():
    """Three firms and one factor leave Sigma unrestricted: R systemfit 1.1-28, noDfCor."""
    path = REFERENCE / "grunfeld_systemfit.csv"
    table = pd.read_csv(path, comment="#")
    header = dict(
        line[2:].split(" ", 1) for line in path.read_text().splitlines() if line[0] == "#"
    )
    firms = list(table["firm"].unique())
    data = load_grunfeld()
    data = data[data["firm"].isin(firms)]
    res = LowRankSUR.from_formula(
        "invest ~ value + capital", data, groups="firm", time="year", rank=1
    ).fit(debiased=False, gtol=1e-9)
    names = table["firm"] + "_" + table["variable"]
    np.testing.assert_allclose(res.params[names], table["coef"], rtol=1e-7)
    # systemfit divides the standard errors' sigma by N as we do with debiased=False.
    np.testing.assert_allclose(res.bse[names], table["std_err"], rtol=1e-6)
    assert res.llf == pytest.approx(float(header["logLik"]), rel=1e-10)
    order = [res.model.equations.index(firm) for firm in firms]
    sigma = res.sigma.to_dense()[np.ix_(order, order)]
    upper = np.array([sigma[i, j] for j in range(3) for i in range(j + 1)])
    theirs = np.array(header["sigma"].split(), dtype=float)
    np.testing.assert_allclose(upper, theirs, rtol=1e-6)
