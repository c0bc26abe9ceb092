"""Where parameters sit, whether each equation has its own or some are shared."""

import numpy as np
import pytest

from sm_alsgls.data.labels import Labels


def pooled():
    """Three equations of two regressors; "x" is there once, constants are each equation's own."""
    places = (np.array([0, 3]), np.array([1, 3]), np.array([3, 2]))
    regressors = [["const", "x"], ["const", "x"], ["x", "const"]]
    return Labels(["a", "b", "c"], regressors, ["a_const", "b_const", "c_const", "x"], places)


def own():
    return Labels.of_own(["a", "b"], [["const", "x"], ["x"]])


def test_own_coefficients_follow_one_another():
    labels = own()
    assert labels.own
    assert not pooled().own
    assert labels.params == ["a_const", "a_x", "b_x"]
    assert labels.owners == ["a", "a", "b"]
    assert labels.terms == ["const", "x", "x"]
    assert {k: v.tolist() for k, v in labels.by_variable.items()} == {"const": [0], "x": [1, 2]}
    assert [b.tolist() for b in labels.by_equation(np.arange(3.0))] == [[0.0, 1.0], [2.0]]


def test_a_shared_parameter_is_there_once():
    labels = pooled()
    assert (labels.P, labels.K, labels.p.tolist()) == (4, 3, [2, 2, 2])
    assert labels.owners == ["a", "b", "c", ""]
    assert labels.terms == ["const", "const", "const", "x"]
    assert {k: v.tolist() for k, v in labels.by_variable.items()} == {
        "const": [0, 1, 2],
        "x": [3],
    }
    beta = labels.by_equation(np.array([1.0, 2.0, 3.0, 9.0]))
    assert [b.tolist() for b in beta] == [[1.0, 9.0], [2.0, 9.0], [9.0, 3.0]]


def test_shared_ones_count_for_the_least():
    values = np.array([7.0, 5.0, 6.0])
    np.testing.assert_array_equal(pooled().least(values), [7.0, 5.0, 6.0, 5.0])
    np.testing.assert_array_equal(
        pooled().least_of(np.array([9.0, 8.0, 7.0, 7.5])), [7.5, 7.5, 7.0]
    )
    np.testing.assert_array_equal(own().least(values[:2]), [7.0, 7.0, 5.0])
    np.testing.assert_array_equal(own().least_of(np.array([3.0, 2.0, 4.0])), [2.0, 4.0])


@pytest.mark.parametrize("labels", [own(), pooled()])
def test_combinations_are_those_of_the_whole_vector(labels):
    """R beta_j is `whole(j, R)` params; X_j beta_j summed over j is `gather` of the X_j."""
    rng = np.random.default_rng(0)
    params = rng.standard_normal(labels.P)
    beta = labels.by_equation(params)
    total = 0.0
    parts = []
    for j, b in enumerate(beta):
        R = rng.standard_normal((4, len(b)))
        np.testing.assert_allclose(labels.whole(j, R) @ params, R @ b, atol=1e-14)
        total = total + R @ b
        parts.append(R)
    gathered = labels.gather(np.concatenate(parts, axis=1))
    np.testing.assert_allclose(gathered @ params, total, atol=1e-14)


def test_who_uses_a_parameter():
    assert pooled().users(np.array([3])).tolist() == [0, 1, 2]
    assert pooled().users(np.array([1])).tolist() == [1]
    assert own().users(np.array([0, 2])).tolist() == [0, 1]
