"""``LowRankMixedLM``: random effects of groups whose covariance is low rank plus diagonal."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModel

from sm_alsgls.border.arguments import choice, count, flag, generator, starts
from sm_alsgls.core.mixed.climb import Step
from sm_alsgls.core.mixed.fit import MixedFit
from sm_alsgls.core.mixed.maximise import mixed_fit
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.data.grouped_checks import check_random_effects, doubt_groups
from sm_alsgls.data.grouped_rows import MISSING, read_groups
from sm_alsgls.data.keywords import guarded
from sm_alsgls.data.labels import Labels
from sm_alsgls.exceptions import OptionError
from sm_alsgls.formula.system import FormulaSystem
from sm_alsgls.models.mixed_attributes import MixedAttributes
from sm_alsgls.models.mixed_construction import MixedConstruction
from sm_alsgls.models.mixed_data import Groups, MixedData
from sm_alsgls.models.mixed_doubts import refuse_inseparable, warn
from sm_alsgls.models.mixed_habits import MixedHabits
from sm_alsgls.models.mixed_keywords import refuse
from sm_alsgls.models.mixed_ranks import MixedRanks
from sm_alsgls.rank_choice.mixed import is_rule, structure_of, without_data
from sm_alsgls.rank_choice.selection import RankSelection
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.covariance import covariance
from sm_alsgls.results.mixed import LowRankMixedLMResults, LowRankMixedLMResultsWrapper
from sm_alsgls.results.mixed_covariance import build_mixed, check_words, choose_or_usual
from sm_alsgls.results.mixed_estimate import MixedEstimate
from sm_alsgls.results.progress import says
from sm_alsgls.results.shown import Listed

Array = np.ndarray


class LowRankMixedLM(
    Listed, MixedConstruction, MixedAttributes, MixedRanks, MixedHabits, LikelihoodModel
):
    """A linear mixed model whose random effects have a covariance of low rank plus diagonal.

    Groups i = 1 .. m of T_i rows,

        y_i = X_i b + Z_i b_i + u_i,    b_i ~ N(0, G),    u_i ~ N(0, s2 R_i),

    with fixed effects b (p,), random effects b_i (q,) and G = Lambda Lambda' + Psi, Lambda (q, r),
    Psi diagonal; or G any positive semi-definite matrix ("full"), or diagonal. The likelihood sees
    the rows of a group through the products of [Z_i X_i y_i] only, which are made once: a step
    costs O(m q^3), whatever the number of rows.

    Parameters
    ----------
    endog : array_like (n,), Series or DataFrame of one column
        The response, rows in any order.
    exog : array_like (n, p), Series or DataFrame
        Regressors. No constant is added.
    groups : array_like (n,) or Series
        Labels of the groups: numbers, text, dates, categories.
    exog_re : array_like (n, q), Series or DataFrame, optional
        Regressors of the random effects; default a constant, called ``Group``.
    rank : int, "diagonal", "full", "auto" or the name of a criterion
        Number of factors r of G; 0 is "diagonal". "auto" chooses it from the data: BIC of fits by
        maximum likelihood of 0, 1, ... factors and "full", with the number of groups for G's
        parameters; with two random effects it is "full", since they identify no factor. "bic" and
        "aic" choose by these (`sm_alsgls.select_rank`).
    uniquenesses : bool
        False leaves out Psi: G = Lambda Lambda' of rank r, at most q.
    residual : array_like (n,) or Series, optional
        Labels of levels, each with a residual variance of its own; `scale` is that of the first.
        Several outcomes of a subject, stacked below each other, are one model so.
    time : array_like (n,) or Series, optional
        Times of the rows, by which the rows of a group are sorted.
    ar : {"groups"}, optional
        Residuals are first-order autoregressive within groups, over the distances in time where
        there is ``time``, else from row to row; with ``residual`` those over their level's
        standard deviation are.
    weights : array_like (n,) or Series, optional
        Analytic weights: the residual of a row has variance s2 / w. Only ratios matter: they are
        divided by their mean. 0 leaves the row out.
    missing : {"none", "drop", "raise"}
        "drop" leaves out rows that miss anything, and counts them; else that is an error.

    Attributes
    ----------
    rank : int
        r; of "full" it is q.
    rank_method : str or None
        The rule behind it, None where it was given.
    rank_selection : RankSelection or None
        What it was chosen from; None where no data were looked at.
    structure : Structure
        Of G.
    group_labels : Index (m,)
        Groups: in their order where labels are numbers or dates, else as they appear.
    nobs, n_groups, k_fe, k_re : int
        n, m, p and q.
    counts : Series (m,)
        Rows T_i of each group.
    n_dropped : int
        Rows dropped for missing values, or for weights of zero.
    ar : str or None
        As it was given.
    formula : str
        Of a model made from one: the fixed effects'.
    data : ModelData
        What statsmodels looks names and rows up in; ``data.frame`` is what formulas were given.

    Raises
    ------
    ShapeError, NonFiniteError, InsufficientRowsError, DegenerateResponseError, RankDeficientError,
    IllegalRankError, OptionError
        All are ValueErrors; each names column and row.

    Warns
    -----
    FewGroupsWarning
        A column of the random effects is zero in all but a few groups.

    See Also
    --------
    from_formula : formulas and a long DataFrame.
    from_chunks : data that do not fit into memory.
    LowRankSUR : where every group has all of K outcomes once, and each its own variance.

    Notes
    -----
    **Where others have more.** Crossed or nested random effects, variance components beside G, and
    families other than the Gaussian are refused with the reason.

    **Ranks.** With Psi the largest r that q random effects identify is that of Ledermann (1937),
    (q - r)^2 >= q + r, as of a factor analysis; three random effects are the fewest.

    Examples
    --------
    >>> import pandas as pd
    >>> from sm_alsgls import LowRankMixedLM
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> data = load_sleepstudy()
    >>> X = pd.DataFrame({"const": 1.0, "Days": data["Days"]})
    >>> res = LowRankMixedLM(data["Reaction"], X, data["Subject"], X, rank="full").fit(reml=False)
    >>> res.params.round(3).to_dict(), round(res.llf, 4)
    ({'const': 251.405, 'Days': 10.467}, -875.9697)
    """

    _formula_max_endog = None

    # What results and statsmodels' tables look up.
    _unlisted = frozenset(
        ("formula_system", "initialize", "k_constant", "law", "named", "products")
    )

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        groups: Any = None,
        exog_re: Any = None,
        rank: int | str = "auto",
        *,
        uniquenesses: bool = True,
        residual: Any = None,
        time: Any = None,
        ar: str | None = None,
        weights: Any = None,
        missing: str = "none",
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse(unknown, _keywords(LowRankMixedLM.__init__), "LowRankMixedLM()")
        missing = choice(missing, "missing", MISSING)
        rows = read_groups(
            endog,
            exog,
            groups,
            exog_re,
            time=time,
            levels=residual,
            weights=weights,
            ordered=ar is not None,
            missing=missing,
        )
        self._make(rows, rank, uniquenesses=uniquenesses, ar=ar)

    @classmethod
    def _of_rows(cls, rows: Any, rank: Any, **how: Any) -> Self:
        model = cls.__new__(cls)
        model._make(rows, rank, **how)
        return model

    def _make(
        self,
        rows: Groups,
        rank: Any,
        *,
        uniquenesses: Any = True,
        ar: Any = None,
        formula: FormulaSystem | None = None,
    ) -> None:
        """Everything after the rows were read and checked."""
        names = rows.names
        self.ar = None if ar is None else choice(ar, "ar", ("groups",))
        rule = is_rule(rank)
        told = without_data(rank, names.q) if rule else rank
        structure = None if rule and told is None else structure_of(told, names.q, uniquenesses)
        flag(uniquenesses, "uniquenesses")
        if structure is None and not uniquenesses:
            raise OptionError(
                f"rank={rank!r} compares structures with uniquenesses; with uniquenesses=False "
                "give the number of factors"
            )
        self.n_dropped, self.group_labels = rows.n_dropped, rows.labels
        self.formula_system = None if formula is None else formula.recipe()
        self.nobs, self.n_groups = rows.nobs, rows.m
        self.k_fe, self.k_re = names.p, names.q
        self._counts, self.named = rows.counts, names.named
        doubt_groups(names, rows.seen, rows.m)
        if structure is None or structure.rank:
            check_random_effects(
                names,
                rows.spans()[1],
                ", or take rank='diagonal', whose variances data may tell apart all the same",
            )
        super().__init__(rows)
        self.data.recipe, self.k_constant = self.formula_system, 0
        self.products, self.law = rows.products(self.ar is not None)
        self.rank_method: str | None = rank if rule else None
        self.rank_selection: RankSelection | None = None
        if structure is None:
            self.rank_selection = self.select_rank(rank)
            structure = structure_of(self.rank_selection.rank, names.q)
        refuse_inseparable(names, self.products, structure, self.law)
        self.structure: Structure = structure

    def _handle_data(
        self, endog: Any, exog: None, missing: str, hasconst: bool | None, **kwargs: Any
    ) -> MixedData:
        return MixedData(endog)

    # -- estimation ---------------------------------------------------------------------------

    @says
    def fit(
        self,
        start_params: Any = None,
        reml: bool = True,
        *,
        n_starts: int | str = "auto",
        rng: np.random.Generator | int | None = None,
        maxiter: int = 200,
        callback: Callable[[Step], object] | None = None,
        disp: bool = False,
        progress: bool | None = None,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool = True,
        **unknown: Any,
    ) -> LowRankMixedLMResultsWrapper:
        """Maximise the likelihood, or the restricted one.

        Parameters
        ----------
        start_params : None
            Fixed effects and the residual variance are profiled out, so that none are needed.
        reml : bool
            The restricted likelihood, that of all contrasts free of the fixed effects.
        n_starts : int or "auto"
            Starts to run: least squares a group, the unrestricted G, a small one, then random ones.
            "auto": 8, or 2 where a step takes long.
        rng : numpy Generator or int, optional
            Of random starts; default one of a fixed seed.
        maxiter : int
            Most steps of a start.
        callback : callable, optional
            Gets every `Step`; a true value ends the fit with what there is.
        disp : bool
            Print where each start ended.
        progress : bool, optional
            Whether to say how far it is: True with a bar from the start (needs tqdm), False never;
            by default after two seconds, where standard error is a terminal or a notebook.
        cov_type : {"kenward-roger", "nonrobust", "cluster"}, optional
            Of the fixed effects: "kenward-roger" has what the estimation of G and s2 adds, which
            few groups need, of REML fits; "nonrobust", also "satterthwaite", has Satterthwaite's
            degrees of freedom; "cluster" is robust to any covariance within groups. "CR0" to "CR3"
            are "cluster" with that correction. Default "kenward-roger" of REML up to a size, which
            is s q^2 (m (q + p) + q^2) of 5e9 without a law of the residuals, s parameters of G, a
            few seconds; else, and with ``use_t=False``, "nonrobust".
        cov_kwds : mapping, optional
            Options of the type: ``correction`` of "cluster", ``variant`` of "kenward-roger".
        use_t : bool
            t and F, or, as MixedLM, normal and chi2.

        Returns
        -------
        LowRankMixedLMResults

        Raises
        ------
        OptionError, UnknownArgumentError

        Warns
        -----
        ConvergenceWarning, HeywoodWarning
        """
        if unknown:
            refuse(unknown, _keywords(LowRankMixedLM.fit), "fit()")
        if isinstance(start_params, (bool, np.bool_)):
            raise OptionError(
                f"the first argument of fit is start_params, as MixedLM's; fit(reml={start_params})"
            )
        if start_params is not None:
            raise OptionError(
                "start_params: fixed effects and the residual variance are profiled out of the "
                "likelihood, and starts for G are made from the data; leave it out, n_starts= "
                "runs more starts"
            )
        reml, disp = flag(reml, "reml"), flag(disp, "disp")
        limit, source = starts(n_starts), generator(rng)
        maxiter, use_t = count(maxiter, "maxiter"), flag(use_t, "use_t")
        check_words(cov_type, cov_kwds)
        where = guarded(callback, "a Step", lambda step: f"step {step.step}")
        found = mixed_fit(
            self.products,
            self.structure,
            self.law,
            reml=reml,
            n_starts=limit,
            rng=source,
            max_iter=maxiter,
            callback=None if where is None else lambda label, step: where(step),
        )
        if disp:
            print(pd.DataFrame(found.runs).to_string(index=False))
        warn(self.exog_re_names, found)
        chosen = choose_or_usual(cov_type, cov_kwds, found, use_t)
        return self._results(found, chosen, use_t, progress)

    def _results(
        self, found: MixedFit, chosen: CovarianceChoice, use_t: bool, progress: bool | None
    ) -> LowRankMixedLMResultsWrapper:
        model = copy.copy(self)
        estimate = MixedEstimate(
            model=model,
            labels=Labels.of_one(self.endog_names, self.exog_names),
            params=found.b,
            nobs=self.nobs,
            df_model=self.df_model,
            choice=chosen,
            use_t=use_t,
            covariances=build_mixed,
            fit=found,
            groups=self.group_labels,
            names_re=self.exog_re_names,
            progress=progress,
        )
        if chosen.cov_type == "kenward-roger" and not found.law.independent:
            # It is made of the rows, which whoever fits may let go of afterwards.
            covariance(estimate)
        return LowRankMixedLMResultsWrapper(LowRankMixedLMResults(model, estimate))


def _keywords(method: Callable[..., Any]) -> list[str]:
    names: Mapping[str, Any] = inspect.signature(method).parameters
    return [name for name in names if name not in ("self", "unknown")]
