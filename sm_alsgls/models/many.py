"""``ManySUR``: the model of `LowRankSUR` for equations that are read in tiles."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from sm_alsgls.border.arguments import (
    came,
    choice,
    flag,
    mapping,
    nearest,
    optional_flag,
    starts,
)
from sm_alsgls.border.blame import caller
from sm_alsgls.border.provenance import Provenance
from sm_alsgls.core.design.bases import DependentColumnsError, TinyColumnsError
from sm_alsgls.core.maximise.solution import Sweep
from sm_alsgls.core.options import ALSOptions
from sm_alsgls.core.sigma.factor import largest_rank, sigma_parameters
from sm_alsgls.core.tiles.fit import PartialFit, fit_part
from sm_alsgls.core.tiles.runner import LocalRunner, Runner
from sm_alsgls.covariance import LowRankDiag
from sm_alsgls.data.keywords import refuse, watched
from sm_alsgls.data.many.checked import blamed, check
from sm_alsgls.data.many.held import Held
from sm_alsgls.data.many.tiled import Tiled
from sm_alsgls.data.validity import check_not_exact
from sm_alsgls.exceptions import (
    ConvergenceWarning,
    HeywoodWarning,
    IllegalRankError,
    OptionError,
    UnknownAttributeError,
)
from sm_alsgls.markup import cut, listed, shown_of, table
from sm_alsgls.models.many_keywords import refuse_of_fit, refuse_of_model
from sm_alsgls.models.maximum_likelihood import MaximumLikelihood
from sm_alsgls.models.shown import facts
from sm_alsgls.rank_choice.rules import METHODS
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.rank_choice.tiles import choose_in_tiles
from sm_alsgls.results.degrees import Degrees
from sm_alsgls.results.many.covariance import choice_of
from sm_alsgls.results.many.estimate import Ending, ManyEstimate
from sm_alsgls.results.many.familiar import absent
from sm_alsgls.results.many.results import ManySURResults
from sm_alsgls.results.many.summary import heywood
from sm_alsgls.results.progress import StartsOfSweeps, says
from sm_alsgls.results.shown import Listed

Array = np.ndarray


class ManySUR(Listed):
    """Seemingly unrelated regressions of very many equations, which are read a tile at a time.

    `LowRankSUR` makes it of a memory map (K, N, p) as ``exog``, and `LowRankSUR.from_equations`
    of chunks. The likelihood, the loop and its stopping rule are those of `LowRankSUR.fit` with
    ``n_starts=1``, and so are the numbers.

    Parameters
    ----------
    tiled : Tiled
    rank : int or "auto"
        Number of factors r; "auto" is the default of `LowRankSUR`, of OLS residuals, which takes a
        few passes over the data for each candidate.
    missing : {"none", "raise"}
        A missing value is an error.
    runner : Runner, optional
        What runs programs on the data; default this process.
    arrays : tuple, optional
        Collections of dask behind them.
    **unknown
        What `LowRankSUR` takes beside, and equations in tiles do not.

    Attributes
    ----------
    neqs, nobs : int
        K and N.
    rank : int
        r.
    rank_method, rank_selection : str, RankSelection or None
        What chose it, where it was not given.
    df_model : float
        Free parameters.
    spooled : int
        Bytes of a temporary file that holds the data of an iterator, which goes with the model.

    Raises
    ------
    NonFiniteError, DegenerateResponseError, InsufficientRowsError, ShapeError, IllegalRankError
    OptionError
        A keyword that does not go with tiles.

    Warns
    -----
    RankWarning
        The default rank is 0, since no factor is identified.
    """

    _unlisted = frozenset(("labels", "results_class"))
    results_class: type[ManySURResults] = ManySURResults

    def __init__(
        self,
        tiled: Tiled,
        rank: int | str = "auto",
        *,
        missing: str = "none",
        runner: Runner | None = None,
        arrays: tuple[Any, Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse_of_model(unknown)
            refuse(unknown, ["endog", "exog", "rank", "missing"], "LowRankSUR()")
        _check_missing(missing)
        self.held = Held(LocalRunner(tiled.source) if runner is None else runner, arrays)
        self.nobs, self.neqs, self.spooled = tiled.source.n, tiled.source.K, tiled.spooled
        whole = None if isinstance(rank, str) and rank == "auto" else _whole_rank(rank, self.neqs)
        checked = check(tiled, self.held.runner)
        self.labels, self._about_mean = checked.labels, checked.about_mean
        most = int(self.labels.p.max())
        self.rank_method: str | None = None
        self.rank_selection: RankSelection | None = None
        if whole is None:
            self.rank_method, self.rank_selection = "auto", self._select(most)
            whole = int(self.rank_selection.rank)
        self.rank = whole
        largest = largest_rank(self.neqs, self.nobs, most)
        if self.rank > largest:
            raise IllegalRankError(
                f"rank={self.rank} is not possible; the largest legal rank is {largest} (of "
                f"{self.neqs} equations, and {self.nobs} rows less {most} "
                "regressors)"
            )
        self._rows = Provenance(tiled.rows, labelled=tiled.labelled)
        self.df_model = float(self.labels.P + sigma_parameters(self.neqs, self.rank))

    def _select(self, most: int) -> RankSelection:
        """The default rank; ``most`` is the most regressors of an equation."""
        try:
            return choose_in_tiles(self.held.runner, self.neqs, self.nobs, most, self.labels.P)
        except (DependentColumnsError, TinyColumnsError) as error:
            blamed(self.labels, error)

    def __repr__(self) -> str:
        said = [f"N={self.nobs}", f"K={self.neqs}", f"r={self.rank}"]
        said.append(f"{self.labels.P} coefficients, in tiles")
        if self.spooled:
            said.append(f"{self.spooled / 1e6:.1f} MB in a temporary file")
        return facts("LowRankSUR", said)

    def _repr_html_(self) -> str:
        rows = [
            [cut(self.labels.name(j), 48), f"{self.nobs}", listed(self.labels.regressors(j))]
            for j in shown_of(self.neqs)
        ]
        left = self.neqs - len(rows)
        notes = [f"{len(rows)} of {self.neqs} equations are shown."] if left else []
        return table(repr(self), ["equation", "rows", "regressors"], rows, notes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(MaximumLikelihood, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise UnknownAttributeError(absent(name), name=name, obj=self)

    @property
    def equations(self) -> pd.Index:
        """Names of the equations (K,)."""
        return self.labels.equations

    @property
    def exog_names(self) -> pd.MultiIndex:
        """(equation, variable) of each coefficient (P,)."""
        return self.labels.terms

    @property
    def endog_names(self) -> str:
        """One name for all responses."""
        return f"{self.labels.name(0)} .. {self.labels.name(self.neqs - 1)}"

    def remove_data(self) -> None:
        """Let go of the data; everything that needs them raises `DataRemovedError`."""
        self.held.let_go()

    @says
    def fit(
        self,
        *,
        n_starts: int | str = "auto",
        debiased: bool = True,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool | None = None,
        d_floor: float = 1e-8,
        rel_tol: float = 1e-6,
        gtol: float = 1e-6,
        max_sweeps: int = 500,
        cg_tol: float = 0.05,
        cg_maxit: int = 500,
        callback: Callable[[Sweep], object] | None = None,
        disp: bool = False,
        progress: bool | None = None,
        **unknown: Any,
    ) -> ManySURResults:
        """Maximise the likelihood over the coefficients and Sigma, from OLS.

        Every step is a pass over the data, some fifty in all; memory is a few tiles, R_j^-1 of
        each equation, and a few vectors of the length of the coefficients.

        Parameters
        ----------
        n_starts : {1, "auto"}
            One start, OLS.
        debiased, cov_type, cov_kwds, use_t
            Standard errors, see `ManySURResults.get_robustcov_results`; computed when they are
            first asked for.
        d_floor, rel_tol, gtol, max_sweeps, cg_tol, cg_maxit, callback, disp, progress
            As those of `LowRankSUR.fit`.

        Returns
        -------
        ManySURResults

        Warns
        -----
        ConvergenceWarning, HeywoodWarning

        Raises
        ------
        RankDeficientError, DegenerateResponseError, OptionError
        """
        if unknown:
            refuse_of_fit(unknown)
            refuse(unknown, list(inspect.signature(ManySUR.fit).parameters)[1:-1])
        _check_one_start(n_starts)
        debiased, disp = flag(debiased, "debiased"), flag(disp, "disp")
        use_t = optional_flag(use_t, "use_t")
        given = mapping(cov_kwds, "cov_kwds", "{'groups': labels}")
        chosen = choice_of(cov_type, given, debiased, self._rows)
        options = ALSOptions(0.0, 0.0, d_floor, rel_tol, gtol, max_sweeps, cg_tol, cg_maxit)
        parts = self._maximum(options, watched(callback))
        estimate = self._estimate(parts, options, debiased, chosen, use_t, progress)
        _warn(estimate)
        if disp:
            ending = estimate.ending
            print(
                f"{ending.status}\n         Current function value: {ending.nll:.6f} (per row)\n"
                f"         Sweeps: {len(ending.trace) - 1}"
            )
        return self.results_class(self, estimate)

    def _maximum(
        self, options: ALSOptions, callback: Callable[[Sweep], object] | None
    ) -> list[PartialFit]:
        runner = self.held.runner
        if callback is not None and not runner.here:
            raise OptionError("callback= runs in this process, and the fit on workers; leave it")
        args: tuple[Any, ...] = (self.rank, options)
        try:
            with StartsOfSweeps(1) as told:
                watch = told.watching(callback)
                if runner.here:
                    args = (*args, watch)
                return runner.run(fit_part, *args, what="fit", watch=watch)
        except (DependentColumnsError, TinyColumnsError) as error:
            blamed(self.labels, error)

    def _estimate(
        self,
        parts: list[PartialFit],
        options: ALSOptions,
        debiased: bool,
        chosen: Any,
        use_t: bool | None,
        progress: bool | None,
    ) -> ManyEstimate:
        def whole(name: str) -> Array:
            return np.concatenate([getattr(part, name) for part in parts])

        one, labels, n = parts[0], self.labels, self.nobs
        lengths, constant = whole("lengths"), whole("constant")
        check_not_exact(labels.name, whole("s_ols"), lengths / n, n)
        return ManyEstimate(
            labels=labels,
            rows=self._rows.index,
            labelled=self._rows.labelled,
            params=whole("beta"),
            sigma=LowRankDiag.from_factors(whole("F"), whole("d")).canonical(),
            at_bound=whole("at_bound"),
            constant=constant,
            squares=whole("squares"),
            total=np.where(constant, self._about_mean, lengths),
            ending=Ending(
                one.nll,
                one.converged,
                one.status,
                one.gradient_d,
                one.score_beta,
                one.trace,
                options,
            ),
            df=Degrees(np.full(labels.K, n), labels.p, float(self.rank), debiased, chosen.df),
            choice=chosen,
            use_t=debiased if use_t is None else use_t,
            held=self.held,
            reason=None if self.rank_selection is None else self.rank_selection.reason,
            progress=progress,
        )


def _check_missing(missing: Any) -> None:
    if missing in ("drop", "fiml"):
        raise OptionError(
            f"missing={missing!r} does not go with equations in tiles: rows that miss something "
            "are known when all equations have been read; drop or fill them in the file"
        )
    choice(missing, "missing", ("none", "raise"))


def _check_one_start(n_starts: Any) -> None:
    limit = starts(n_starts)
    if limit is not None and limit != 1:
        raise OptionError(
            f"n_starts must be 1 or 'auto', got {came(n_starts)}: equations in tiles are fitted "
            "from OLS; fit a part of them in memory to see whether other starts end elsewhere"
        )


def _whole_rank(rank: Any, K: int) -> int:
    whole = isinstance(rank, (int, np.integer)) and not isinstance(rank, bool)
    if whole and rank >= 0:
        if rank > largest_rank(K):
            raise IllegalRankError(
                f"rank={rank} is not identified with {K} equations; the largest legal rank is "
                f"{largest_rank(K)}"
            )
        return int(rank)
    if not isinstance(rank, str) or rank not in ("full", *METHODS):
        near = nearest(rank, ["auto"]) if isinstance(rank, str) else ""
        raise IllegalRankError(
            f"rank must be 'auto' or a whole number >= 0 with equations in tiles, got "
            f"{came(rank)}{near}"
        )
    why = (
        "an unrestricted Sigma is a K x K array"
        if rank == "full"
        else "other rules take every eigenvalue of the residuals, or fits of each candidate; "
        "select_rank() of a part of the equations, some hundreds in memory, has them"
    )
    raise IllegalRankError(
        f"rank={came(rank)}: with equations in tiles rank is 'auto' or a whole number, rank=5: "
        f"{why}"
    )


def _warn(estimate: ManyEstimate) -> None:
    ending = estimate.ending
    if not ending.converged:
        warnings.warn(
            f"LowRankSUR did not converge: {ending.status} (gradient in log d "
            f"{ending.gradient_d:.1e}, score of beta {ending.score_beta:.1e})",
            ConvergenceWarning,
            stacklevel=caller(),
        )
    if estimate.at_bound.any():
        warnings.warn(heywood(estimate), HeywoodWarning, stacklevel=caller())
