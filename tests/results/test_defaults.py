"""One default an argument: methods, the functions they call and views of an equation agree."""

import importlib
import inspect
import pkgutil
from collections import defaultdict

import pytest

import sm_alsgls
from sm_alsgls import results


def functions():
    """Public functions and methods of the package, as (where, name, signature)."""
    for module in pkgutil.walk_packages(sm_alsgls.__path__, "sm_alsgls."):
        if module.name == "sm_alsgls.__main__":
            continue
        for name, made in vars(importlib.import_module(module.name)).items():
            if getattr(made, "__module__", "") != module.name or name.startswith("_"):
                continue
            if inspect.isfunction(made):
                yield module.name, name, inspect.signature(made)
            elif inspect.isclass(made):
                for own, method in vars(made).items():
                    method = getattr(method, "__func__", method)
                    if inspect.isfunction(method) and not own.startswith("_"):
                        yield f"{module.name}.{name}", own, inspect.signature(method)


def test_every_level_is_five_per_cent():
    given = {
        f"{where}.{name}": signature.parameters["alpha"].default
        for where, name, signature in functions()
        if "alpha" in signature.parameters
    }
    assert {v for v in given.values() if v is not inspect.Parameter.empty} == {0.05}
    assert len(given) > 20


FLAGS = {
    "transform": {True},
    "progress": set(),  # None: after two seconds
    "n_jobs": {1},
    "debiased": {True},
}


@pytest.mark.parametrize("argument", FLAGS)
def test_arguments_that_many_take_have_one_default(argument):
    given = {
        signature.parameters[argument].default
        for _, _, signature in functions()
        if argument in signature.parameters
    }
    # None is what the fit has.
    assert given - {inspect.Parameter.empty, None} == FLAGS[argument]


# Defaults of their own, by function and argument: there is no parametric bootstrap of factors that
# are parameters, and tables of what is on a cluster stay there.
OWN = {
    ("bootstrap", "method", "sm_alsgls.results.interactive"): "wild",
    ("tidy", "backend", "sm_alsgls.results.many.dask_results"): "dask",
}


def _own(name, key, where):
    return next((v for (n, k, w), v in OWN.items() if (n, k) == (name, key) and w in where), None)


def test_a_method_has_the_defaults_of_the_function_of_its_name():
    """What only passes on must not say another default than what it passes on to."""
    prefix = results.__name__
    by_name = defaultdict(list)
    for where, name, signature in functions():
        if where.startswith(prefix):
            by_name[name].append((where, signature))
    wrong, compared = [], 0
    for name, some in by_name.items():
        for where, signature in some[1:]:
            first_where, first = some[0]
            for key, parameter in signature.parameters.items():
                other = first.parameters.get(key)
                empty = inspect.Parameter.empty
                if other is None or empty in (parameter.default, other.default):
                    continue
                compared += 1
                own = _own(name, key, where) or _own(name, key, first_where)
                if own in (parameter.default, other.default) and own is not None:
                    continue
                if parameter.default != other.default:
                    wrong.append(f"{name}({key}): {first_where} and {where}")
    assert compared > 60
    assert wrong == []


def test_a_value_of_many_fields_is_made_by_name():
    from sm_alsgls.results.estimate import Estimate

    with pytest.raises(TypeError, match="positional"):
        Estimate(*range(len(Estimate.__dataclass_fields__)))
