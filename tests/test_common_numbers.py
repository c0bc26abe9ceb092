"""``common=`` gives the numbers that it gave when it was restrictions, whatever the covariance."""

import json

import numpy as np
import pytest

from tests.reference.common_today import CASES, PATH, numbers

BEFORE = json.loads(PATH.read_text())


def assert_same(got, before, where, tolerance):
    if isinstance(before, dict):
        assert got.keys() == before.keys(), where
        for key, value in before.items():
            assert_same(got[key], value, f"{where}, {key}", tolerance)
        return
    # Next to the largest of its kind: an intercept near zero has no relative accuracy.
    size = np.abs(np.nan_to_num(before)).max()
    np.testing.assert_allclose(got, before, rtol=tolerance, atol=tolerance * size, err_msg=where)


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_the_restrictions(case):
    got = numbers(case)
    for key, value in BEFORE[case].items():
        # p-values of 1e-20 lose the digits that their statistics have.
        assert_same(got[key], value, f"{case}, {key}", 1e-8 if key == "types" else 1e-10)
    for kind, told in BEFORE[case]["types"].items():
        # The Sigma of "nonrobust" intervals is a Sigma-step that ends at a gradient of 1e-8: of
        # "many" these were 1.9e-9 from where it leads, and are 1.5e-9.
        tolerance = 1e-8 if kind == "nonrobust" else 1e-10
        np.testing.assert_allclose(
            got["types"][kind]["bse"], told["bse"], rtol=tolerance, err_msg=f"{case}, {kind}"
        )
