"""What tests of several folders ask for."""

import pytest
import statsmodels.formula


@pytest.fixture(params=["patsy", "formulaic"])
def engine(request):
    """Each formula engine in turn, as statsmodels' option."""
    options = statsmodels.formula.options
    before = options.formula_engine
    options.formula_engine = request.param
    yield request.param
    options.formula_engine = before
