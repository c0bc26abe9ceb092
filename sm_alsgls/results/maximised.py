"""The estimate at the end of a search for the maximum of a likelihood."""

from __future__ import annotations

from collections.abc import Callable

from sm_alsgls.core.laws.estimated import Estimated
from sm_alsgls.core.maximise.found import Search
from sm_alsgls.core.problem import Problem
from sm_alsgls.core.rows.joint_rows import JointRows
from sm_alsgls.results.cov_types import CovarianceChoice
from sm_alsgls.results.covariance import build
from sm_alsgls.results.degrees import Degrees
from sm_alsgls.results.estimate import Estimate
from sm_alsgls.results.fitted_laws import FittedLaws, refused
from sm_alsgls.results.freedom import Freedom
from sm_alsgls.results.header import Header
from sm_alsgls.results.maximum import Maximum
from sm_alsgls.results.model import Model
from sm_alsgls.results.sample import Sample, Seen
from sm_alsgls.results.system_joint import system_joint


def maximised(
    model: Model,
    problem: Problem,
    found: Search,
    *,
    rank: int,
    df_model: float,
    debiased: bool,
    choice: CovarianceChoice,
    use_t: bool | None,
    describe: Callable[[Estimate], Header],
    sparse: JointRows | None = None,
    progress: bool | None = None,
    laws: FittedLaws | None = None,
    made: Estimated | None = None,
) -> Estimate:
    """What ``found`` is of a model: its coefficients and Sigma, with what goes with them.

    ``use_t`` is ``debiased`` where it is None; ``sparse`` are the equations that share too few
    rows for the likelihood to have a bound; ``laws`` what else errors follow, and ``made`` how that
    was estimated: ``problem`` and ``found`` are then of what it leaves.
    """
    best, labels = found.best, model.labels
    beta = tuple(problem.design.to_beta(best.gamma))
    usage = model.system.cells.usage
    plain = problem.ridge is None and problem.options.lam_F == 0.0
    if made is None:
        nll, sigma = best.nll if plain else problem.nll(best.E, best.cov), best.cov
    else:
        beside = made.fit.system.beside
        nll = made.nll if plain else problem.nll(best.E, best.cov) - beside
        sigma = made.fit.sigma
    restrictions = model.restrictions
    free = labels.P - (0 if restrictions is None else len(restrictions.q))
    return Estimate(
        model=model,
        labels=labels,
        beta=beta,
        params=problem.design.to_params(best.gamma),
        sigma=sigma.canonical(),
        rank=rank,
        at_bound=best.at_bound,
        usage=usage,
        nobs=model.nobs,
        df=Degrees(
            usage.counts,
            labels.p,
            problem.errors.taken(rank),
            debiased,
            choice.df,
            problem.errors.swept * model.nobs,
            free if problem.errors.one_variance else None,
        ),
        df_model=df_model,
        freedom=Freedom(None if restrictions is None else restrictions.R),
        choice=choice,
        use_t=debiased if use_t is None else use_t,
        covariances=build,
        joint=system_joint,
        sample=Sample(model, Seen(problem, best.E), None if made is None else made.fit),
        maximum=Maximum(found, nll, usage.log_jacobian / model.nobs, problem.options, sparse),
        describe=describe,
        laws=laws,
        refused={} if laws is None else refused(laws),
        progress=progress,
    )
