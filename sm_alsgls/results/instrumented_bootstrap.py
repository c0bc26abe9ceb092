"""The bootstrap of an estimate with instruments: rows of everything are drawn together.

Regressors that move with the errors cannot be held while errors are drawn, as those of
`sm_alsgls.results.bootstrap` are. So rows of responses, regressors, instruments and weights are
drawn with replacement (Freedman 1981; of systems with instruments Freedman 1984), or clusters of
rows, and everything is estimated again as it was: two stages, Sigma of the fit's rank, weight,
rounds. It holds under heteroscedasticity, within a row whatever the correlation.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from sm_alsgls.border.blame import caller
from sm_alsgls.core.errors.law import Law
from sm_alsgls.core.instruments.design import Instrumented
from sm_alsgls.core.instruments.pairs import Pairs, pairs_bootstrap
from sm_alsgls.core.instruments.refit import Way
from sm_alsgls.core.instruments.three_stage import Rows
from sm_alsgls.core.maximise.bootstrap import Replicate
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.covariance.base import Covariance
from sm_alsgls.data.instrumented import InstrumentedSystem
from sm_alsgls.data.parameters import Parameters
from sm_alsgls.data.problem import build_problem
from sm_alsgls.exceptions import BootstrapWarning, UnderidentifiedError
from sm_alsgls.results.bootstrap import BootstrapResults, asked, collected
from sm_alsgls.results.cov_types import clusters
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.instrumented_covariance import instruments_of
from sm_alsgls.results.model import Model
from sm_alsgls.results.progress import says


class OfALaw(Model, Protocol):
    """A model of which Sigma and the parameters can be made again."""

    law: Law
    parameters: Parameters


def way_of(estimate: Estimate) -> Way:
    """How it was estimated."""
    return Way.of(estimate.instrumented, model_of(estimate).law.order, estimate.df.correction)


def model_of(estimate: Estimate) -> OfALaw:
    """The model, of which an estimate with instruments is made."""
    return cast(OfALaw, estimate.model)


@dataclass(frozen=True, eq=False)
class Redo:
    """The estimate of rows that were drawn, and the caller's statistic of it.

    Attributes
    ----------
    system : InstrumentedSystem
        In memory of its own.
    parameters : Parameters
    law : Law
    options : ALSOptions
    way : Way
    sigma : Covariance
        From which draws look for theirs.
    statistic : callable, optional
    """

    system: InstrumentedSystem
    parameters: Parameters
    law: Law
    options: ALSOptions
    way: Way
    sigma: Covariance
    statistic: Callable[[Replicate], Any] | None

    def __call__(self, rows: np.ndarray) -> tuple[Replicate, Any]:
        """Estimate row numbers (n,).

        Raises
        ------
        SystemInputError, IterationError
            They identify no estimate.
        """
        self._check(len(np.unique(rows)))
        system = self.system.drawn(rows)
        problem = build_problem(system, self.options, self.parameters, self.law.make)

        def whole() -> Rows:
            design = cast(Instrumented, system.whole_design(problem.design.free))
            return Rows(design, system.cells.used(system.Y))

        one = self.way.again(problem, whole, self.sigma).replicate
        return one, None if self.statistic is None else self.statistic(one)

    def _check(self, distinct: int) -> None:
        """Rows that repeat are fewer than they look: instruments would fit regressors exactly."""
        most = max(Z.shape[1] for Z in self.system.instruments)
        if distinct <= most:
            raise UnderidentifiedError(
                f"a draw of {distinct} different rows for an equation with {most} instruments"
            )
        total = sum(Z.shape[1] for Z in self.system.instruments)
        if self.way.robust and distinct <= total:
            raise UnderidentifiedError(
                f"a draw of {distinct} different rows for a weight of {total} moments"
            )


@says
def bootstrap(
    estimate: Estimate,
    reps: int = 999,
    *,
    groups: Any = None,
    rng: np.random.Generator | int | None = None,
    n_jobs: int = 1,
    statistic: Callable[[Replicate], Any] | None = None,
    progress: bool | None = None,
) -> BootstrapResults:
    """The pairs bootstrap: rows are drawn whole, and everything is estimated again.

    Parameters
    ----------
    reps : int
    groups : labels of rows, optional
        Clusters, which are drawn whole: a column of the data by its name, a Series (aligned by
        label), or an array. Default: rows are independent.
    rng : numpy Generator or int, optional
        Default: a fixed seed.
    n_jobs : int
        Processes; the answer is the same for any number.
    statistic : callable, optional
        Evaluated on each `Replicate` (params, bse, sigma; nll is NaN); picklable if n_jobs > 1.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    BootstrapResults
        std_errors, conf_int (percentile-t), pvalues, and every replicate. Draws whose rows do not
        identify the system are left out, and counted in ``failed``.

    Warns
    -----
    BootstrapWarning
        There are such draws, and why.

    Raises
    ------
    UnderidentifiedError
        Fewer than two draws identify the system.
    OptionError, ShapeError, DataRemovedError

    Notes
    -----
    The rank is that of the fit. Standard errors of replicates, and the parent's beside them, are
    model-based at the Sigma that coefficients were weighted with, whatever ``cov_type`` is:
    percentile-t intervals need the same studentisation in both, and their quantiles of t* take up
    what it lacks under heteroscedasticity. Where instruments are weak t has a distribution that
    pairs do not reproduce; see `LowRank3SLSResults.wild_test`.

    References
    ----------
    Freedman (1984), Annals of Statistics 12, 827-842.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_alsgls import LowRank3SLS
    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((120, 1)) + rng.standard_normal((120, 3))
    >>> z = rng.standard_normal((3, 120, 2))
    >>> w = z.sum(axis=2).T + e
    >>> model = LowRank3SLS(w + e, [w[:, [j]] for j in range(3)], list(z), rank=1)
    >>> boot = model.fit().bootstrap(99)
    >>> boot.failed, boot.params.shape
    (0, (99, 3))
    """
    these = asked(reps, n_jobs, rng, statistic)
    model, system = model_of(estimate), instruments_of(estimate)
    code = None
    if groups is not None:
        code = clusters(groups, estimate.model.provenance, most=1)[1][0]
    redo = Redo(
        system.drawn(np.arange(estimate.nobs)),
        model.parameters,
        model.law,
        estimate.sample.problem.options,
        way_of(estimate),
        estimate.instrumented.first_cov,
        these.statistic,
    )
    refits = pairs_bootstrap(Pairs(redo, estimate.nobs, code), these.seeds, these.n_jobs)
    drawn, numbers, failures = [], [], Counter[str]()
    for i, one in enumerate(refits):
        if one.values is None:
            failures[one.failure] += 1
        else:
            drawn.append(one.values)
            numbers.append(i)
    if len(drawn) < 2:
        raise UnderidentifiedError(
            f"{these.reps - len(drawn)} of {these.reps} draws of rows identify no estimate, most "
            f"of them because: {failures.most_common(1)[0][0]}; there are too few rows"
            f"{'' if code is None else ' or groups'} for so many instruments"
        )
    if failures:
        warnings.warn(
            f"{these.reps - len(drawn)} of {these.reps} draws of rows identify no estimate and are "
            f"left out, most of them because: {failures.most_common(1)[0][0]}",
            BootstrapWarning,
            stacklevel=caller(),
        )
    return collected(estimate, drawn, these, "pairs", numbers)
