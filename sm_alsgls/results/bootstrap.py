"""Bootstrap standard errors, intervals and p-values of a fitted system."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import choice, count, function, generator, level
from sm_alsgls.core.laws.ar import AR
from sm_alsgls.core.laws.bootstrap import LawParent
from sm_alsgls.core.laws.bootstrap import bootstrap as of_laws
from sm_alsgls.core.maximise.bootstrap import METHODS, Parent, Replicate
from sm_alsgls.core.maximise.bootstrap import bootstrap as refits_of
from sm_alsgls.data.error_laws import AR_NAME
from sm_alsgls.exceptions import CallableError, NotApplicableError, OptionError
from sm_alsgls.results.coefficients import fixed, plain_bse
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.in_sample import used_residuals
from sm_alsgls.results.likelihood_model import LikelihoodModel
from sm_alsgls.results.nlcom import BootstrapCombinations, bootstrap_combinations
from sm_alsgls.results.progress import says
from sm_alsgls.results.row_laws import autoregression
from sm_alsgls.results.shown import ShownFrame, one_line


@dataclass(frozen=True, repr=False)
class BootstrapResults(ShownFrame):
    """Refits of a system to data made like its own.

    Attributes
    ----------
    params : DataFrame (reps, P)
        Coefficients of each replicate.
    bse : DataFrame (reps, P)
        Their standard errors.
    estimate, estimate_bse : Series (P,)
        Of the parent. Its standard errors are those that the replicates have, roots of the diagonal
        of H^-1: what ``res.bse`` adds for the estimation of Sigma would cancel.
    statistics : list
        What ``statistic`` returned for each replicate.
    converged : ndarray of bool (reps,)
    method : str
    law_params : DataFrame (reps, m) or None
        Parameters of laws that errors follow beside Sigma, of each replicate.
    law_estimate : Series (m,) or None
        Of the parent.
    failed : int
        Draws of rows that did not identify the system, which are in none of the others: the index
        of ``params`` has the numbers of those that are.
    """

    params: pd.DataFrame
    bse: pd.DataFrame = field(repr=False)
    estimate: pd.Series = field(repr=False)
    estimate_bse: pd.Series = field(repr=False)
    statistics: list[Any] = field(repr=False)
    converged: np.ndarray = field(repr=False)
    method: str
    failed: int = 0
    law_params: pd.DataFrame | None = field(default=None, repr=False)
    law_estimate: pd.Series | None = field(default=None, repr=False)

    @property
    def reps(self) -> int:
        """Number of replicates."""
        return len(self.params)

    @property
    def tvalues(self) -> pd.DataFrame:
        """(replicate - parent) / the replicate's standard error, (reps, P).

        NaN, as p-values, where restrictions fix a coefficient.
        """
        return (self.params - self.estimate) / self.bse.mask(self.bse == 0.0)

    @property
    def std_errors(self) -> pd.Series:
        """Standard deviations of the replicates' coefficients (P,)."""
        return self.params.std(ddof=1).rename("std_error")

    def conf_int(self, alpha: float = 0.05, kind: str = "percentile-t") -> pd.DataFrame:
        """Confidence intervals (P, 2).

        Parameters
        ----------
        alpha : float
        kind : {"percentile-t", "percentile"}
            "percentile-t" inverts the bootstrap distribution of |t|, symmetric and with the
            second-order accuracy that coverage at small N needs (Hall 1988, Annals of
            Statistics 16); "percentile" takes quantiles of the coefficients.
        """
        alpha = level(alpha)
        kind = choice(kind, "kind", ("percentile-t", "percentile"))
        if kind == "percentile":
            interval = self.params.quantile([alpha / 2, 1 - alpha / 2]).T
            return interval.set_axis([0, 1], axis=1)
        free = self.estimate_bse > 0.0
        half = (self.tvalues.abs().quantile(1 - alpha) * self.estimate_bse).where(free, 0.0)
        return pd.DataFrame({0: self.estimate - half, 1: self.estimate + half})

    def law_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """The laws' parameters with bootstrap standard errors, biases and percentile intervals.

        Raises
        ------
        NotApplicableError
            Errors follow no law beside Sigma.
        """
        alpha = level(alpha)
        if self.law_params is None or self.law_estimate is None:
            raise NotApplicableError("errors follow no law beside Sigma: see summary_frame()")
        ends = self.law_params.quantile([alpha / 2, 1 - alpha / 2])
        return pd.DataFrame(
            {
                "coef": self.law_estimate,
                "boot std err": self.law_params.std(ddof=1),
                "boot bias": self.law_params.mean() - self.law_estimate,
                f"[{alpha / 2:g}": ends.iloc[0],
                f"{1 - alpha / 2:g}]": ends.iloc[1],
            }
        )

    @property
    def pvalues(self) -> pd.Series:
        """Bootstrap-t p-values of zero coefficients (P,), (1 + #{|t*| >= |t|}) / (1 + reps)."""
        free = self.estimate_bse > 0.0
        t = (self.estimate / self.estimate_bse.where(free)).abs()
        exceed = (self.tvalues.abs() >= t).sum()
        return ((1 + exceed) / (1 + self.reps)).where(free).rename("pvalue")

    def nlcom(self, functions: Any) -> BootstrapCombinations:
        """Functions of the coefficients in every replicate; as `LowRankSURResults.nlcom`.

        Returns
        -------
        BootstrapCombinations
            ``estimate``, ``draws``, ``std_errors``, ``conf_int()`` (percentile).
        """
        return bootstrap_combinations(self.estimate, self.params, functions)

    def __repr__(self) -> str:
        facts = [f"{len(self.params)} replicates", f"{self.params.shape[1]} coefficients"]
        facts += [f"{self.failed} failed"] * bool(self.failed)
        return one_line(f"{type(self).__name__} ({self.method})", facts)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Estimates with bootstrap standard errors, p-values and percentile-t intervals."""
        interval = self.conf_int(alpha)
        return pd.DataFrame(
            {
                "coef": self.estimate,
                "std err": self.estimate_bse,
                "boot std err": self.std_errors,
                "boot P>|t|": self.pvalues,
                f"[{alpha / 2:g}": interval[0],
                f"{1 - alpha / 2:g}]": interval[1],
            }
        )


#: Processes; each holds the system.
_MOST_JOBS = 1_000


class _Statistic:
    """A caller's statistic, whose errors say that they are its own; sent to processes as one."""

    def __init__(self, of: Callable[[Replicate], Any]) -> None:
        self._of = of

    def __call__(self, replicate: Replicate) -> Any:
        try:
            return self._of(replicate)
        except Exception as error:
            raise CallableError(
                f"statistic raised {type(error).__name__} ({error}) on a replicate"
            ) from error


class Asked(NamedTuple):
    """Arguments of any bootstrap, read."""

    reps: int
    n_jobs: int
    statistic: _Statistic | None
    seeds: list[np.random.SeedSequence]


def asked(reps: Any, n_jobs: Any, rng: Any, statistic: Any = None, least: int = 2) -> Asked:
    """Read them; every replicate has a random stream of its own.

    Raises
    ------
    OptionError, ArgumentTypeError
    """
    reps, n_jobs = count(reps, "reps", least), count(n_jobs, "n_jobs", 1, _MOST_JOBS)
    guarded = _guarded(statistic, n_jobs)
    source = generator(rng) or np.random.default_rng(0)
    entropy = source.integers(0, 2**63, 2).tolist()
    return Asked(reps, n_jobs, guarded, np.random.SeedSequence(entropy).spawn(reps))


def collected(
    estimate: Estimate,
    drawn: list[tuple[Replicate, Any]],
    these: Asked,
    method: str,
    numbers: list[int] | None = None,
) -> BootstrapResults:
    """Replicates with the labels of the estimate; ``numbers`` are those of their draws."""
    names, refits = estimate.labels.params, [one for one, _ in drawn]
    none = fixed(estimate)  # zeros, where a variance may be a rounding error
    index = None if numbers is None else pd.Index(numbers, name="draw")
    laws = estimate.laws
    of_laws: tuple[pd.DataFrame, pd.Series] | tuple[None, None] = (None, None)
    if laws is not None:
        columns = pd.Index(laws.names, name="parameter")
        draws = pd.DataFrame([one.laws for one in refits], index, columns, dtype=float)
        of_laws = draws, pd.Series(laws.values, columns)
    return BootstrapResults(
        pd.DataFrame([one.params for one in refits], index, names),
        pd.DataFrame([np.where(none, 0.0, one.bse) for one in refits], index, names),
        pd.Series(estimate.params, index=names),
        pd.Series(plain_bse(estimate), index=names),
        [value for _, value in drawn] if these.statistic is not None else [],
        np.array([one.converged for one in refits]),
        method,
        these.reps - len(drawn),
        *of_laws,
    )


def _guarded(statistic: Callable[[Replicate], Any] | None, n_jobs: int) -> _Statistic | None:
    """The statistic with its errors chained; one that several processes cannot share is refused."""
    of = function(statistic, "statistic", "a Replicate")
    if of is None:
        return None
    if n_jobs > 1 and multiprocessing.get_start_method() != "fork":
        try:
            pickle.dumps(of)
        except Exception as error:
            raise OptionError(
                f"statistic cannot be sent to n_jobs={n_jobs} processes ({error}); define it with "
                "def at the top of a module, not as a lambda or inside a function, or use n_jobs=1"
            ) from error
    return _Statistic(of)


@says
def bootstrap(
    estimate: Estimate,
    reps: int = 999,
    method: str = "parametric",
    *,
    rng: np.random.Generator | int | None = None,
    n_jobs: int = 1,
    block_length: int | None = None,
    statistic: Callable[[Replicate], Any] | None = None,
    progress: bool | None = None,
) -> BootstrapResults:
    """Refit everything to data made like these, from the fit's own maximum.

    Parameters
    ----------
    reps : int
    method : {"parametric", "residual", "wild", "block"}
        Errors drawn from N(0, Sigma); residual rows drawn, multiplied by random signs, or
        drawn in blocks of ``block_length`` consecutive rows (default N^(1/3)). Whole rows:
        correlation between equations is kept. Regressors are fixed.
    rng : numpy Generator or int, optional
        Default: a fixed seed.
    n_jobs : int
        Processes; the answer is the same for any number.
    statistic : callable, optional
        Evaluated on each `Replicate` (params, bse, sigma, nll, laws); picklable if n_jobs > 1.
    progress : bool, optional
        Whether to say how far it is: True with a bar from the start (needs tqdm), False never; by
        default after two seconds, where standard error is a terminal or a notebook.

    Returns
    -------
    BootstrapResults
        std_errors, conf_int (percentile-t), pvalues, and every replicate; of errors that follow
        laws also ``law_frame()``.

    Notes
    -----
    Where errors follow laws (``ar=``, ``row_scale=``, ...) what is drawn are innovations, which the
    laws make errors of; their parameters are estimated again in the way they were, from the fit's
    own. Standard errors of a replicate are those given these parameters, as
    ``estimate_bse`` is.
    """
    N = estimate.nobs
    method = choice(method, "method", METHODS)
    if not estimate.complete and method not in ("parametric", "wild"):
        raise OptionError(
            f"method={method!r} draws whole rows of residuals, and rows have different cells; use "
            "'parametric' or 'wild', which keep every row's own"
        )
    these = asked(reps, n_jobs, rng, statistic)
    if block_length is None:
        block_length = max(1, round(N ** (1 / 3)))
    block_length = count(block_length, "block_length", 1, N, ", the number of rows")
    made = _of_laws if estimate.laws is not None else _of_rows
    return collected(estimate, list(made(estimate, these, method, block_length)), these, method)


def _of_rows(
    estimate: Estimate, these: Asked, method: str, block_length: int
) -> Iterator[tuple[Replicate, Any]]:
    """Replicates of rows that are independent draws of Sigma."""
    sample, counts = estimate.sample, estimate.counts
    E = used_residuals(estimate)
    parent = Parent(
        sample.problem,
        sample.whole_design,
        sample.responses - E,
        E * np.sqrt(counts / (counts - estimate.p)),
        list(estimate.beta),
        estimate.sigma,
        estimate.sigma.scaled(np.sqrt(counts / estimate.df.equation)),
        estimate.rank,
        estimate.df.correction,
        method,
        block_length,
        these.statistic,
    )
    return refits_of(parent, these.seeds, these.n_jobs)


def _of_laws(
    estimate: Estimate, these: Asked, method: str, block_length: int
) -> Iterator[tuple[Replicate, Any]]:
    """Replicates of rows whose errors follow laws."""
    sample, counts, laws = estimate.sample, estimate.counts, estimate.laws
    assert laws is not None
    raw = sample.raw
    direct = [X @ b for X, b in zip(raw.raw, estimate.beta, strict=True)]
    parent = LawParent(
        sample.law_fit,
        np.column_stack(direct),
        used_residuals(estimate) * np.sqrt(counts / (counts - estimate.p)),
        estimate.row_sigma.scaled(np.sqrt(counts / estimate.df.equation)),
        estimate.rank,
        laws.how,
        laws.places.get(AR_NAME),
        estimate.df.correction,
        method,
        block_length,
        these.statistic,
        _of_whole_rows(estimate),
    )
    return of_laws(parent, these.seeds, these.n_jobs)


def _of_whole_rows(estimate: Estimate) -> AR | None:
    """The filter of autoregressive errors of whole rows, where some have holes."""
    rho, laws = autoregression(estimate), cast(LikelihoodModel, estimate.model).laws
    if rho is None or laws is None or estimate.complete or laws.ties_holes:
        return None
    return AR.of(estimate.nobs, rho, estimate.neqs, times=laws.times)
