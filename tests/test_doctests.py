"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import matplotlib.pyplot as plt
import pytest

import sm_alsgls

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(sm_alsgls.__path__, "sm_alsgls.")
    if not found.name.endswith("__main__")  # importing it is fine, but it has no examples
)


@pytest.mark.parametrize("name", ["sm_alsgls", *MODULES])
def test_examples_run(name):
    module = importlib.import_module(name)
    plt.close("all")  # matplotlib 3.9 warns of a backend that is chosen beside open figures
    failed, _ = doctest.testmod(module)
    assert failed == 0, "the report above says which example"


def test_the_walk_finds_examples():
    value = "sm_alsgls.covariance.low_rank_diag"
    assert {value, "sm_alsgls.models.sur", "sm_alsgls.core.beta.gls"} <= set(MODULES)
    assert doctest.testmod(importlib.import_module(value)).attempted > 10
