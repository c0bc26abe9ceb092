"""What fits warn of, in the words of their results."""

from types import SimpleNamespace

import numpy as np
import pytest

from sm_alsgls.exceptions import HeywoodWarning
from sm_alsgls.models.doubts import warn_of_stages
from sm_alsgls.results.maximum import Messages


def test_the_first_eight_of_many_equations_are_named_and_the_rest_are_counted():
    names = [f"e{j}" for j in range(12)]
    found = SimpleNamespace(converged=True, at_bound=np.arange(12) != 3, method="iv")
    with pytest.warns(HeywoodWarning, match="'e7', 'e8' and 3 more is at its lower bound"):
        warn_of_stages(names, found)
    said = Messages(2, True).heywood(names, found.at_bound)
    assert "'e7', 'e8' and 3 more is at its lower bound" in said
    assert "'e11' and" not in Messages(2, False).heywood(names, np.arange(12) > 9)
