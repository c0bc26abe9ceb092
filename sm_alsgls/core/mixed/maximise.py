"""The fit of a mixed model: climbs from several starts, the best, and its second-order check."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sm_alsgls.core.mixed.climb import (
    CONVERGED,
    JOINED,
    STOPPED,
    Climb,
    Step,
    climb,
    held,
    rotations,
    scoring,
)
from sm_alsgls.core.mixed.cross_products import CrossProducts
from sm_alsgls.core.mixed.fit import MixedFit, Run
from sm_alsgls.core.mixed.likelihood import Point, Profile
from sm_alsgls.core.mixed.residual_laws import ResidualLaw
from sm_alsgls.core.mixed.starts import Starts
from sm_alsgls.core.mixed.structures import Structure
from sm_alsgls.core.second_order.curvature import lowest_curvature
from sm_alsgls.core.threads import on_one_thread
from sm_alsgls.progress import Progress, tick

Array = np.ndarray

#: Two climbs that end within this log-likelihood of one another found the same maximum.
SAME = 1e-5
# Multiplications of an evaluation, m q^2 (q + p), beyond which there are two starts by default and
# the curvature is left to who asks.
_LARGE = 2e7
# Numbers that an evaluation goes through, m q (q + p + 1), and the cube of the parameters, beyond
# which there are two starts as well: 20 ms an evaluation, and as much a factor of F.
_LONG, _WIDE = 5e5, 3e7
# Information about a combination of parameters, in units of theirs, below which there is none.
_TOLD = 1e-7
#: Starts where their number is not given, of small problems.
MOST_STARTS = 8


@on_one_thread
def mixed_fit(
    products: CrossProducts,
    structure: Structure,
    law: ResidualLaw,
    *,
    reml: bool = True,
    n_starts: int | None = None,
    rng: np.random.Generator | None = None,
    first: MixedFit | None = None,
    max_iter: int = 200,
    callback: Callable[[str, Step], object] | None = None,
) -> MixedFit:
    """Maximise the likelihood of a mixed model from several starts.

    Parameters
    ----------
    products : CrossProducts
    structure : Structure
    law : ResidualLaw
    reml : bool
    n_starts : int, optional
        Default 8, or 2 of large problems; "ols" first, then "full", "small", random ones.
    rng : numpy Generator, optional
        Of random starts; default one of a fixed seed.
    first : MixedFit, optional
        Of the same structure and law, of other data: where to begin, before all other starts;
        with ``n_starts=1`` alone.
    max_iter : int
        Steps of a climb.
    callback : callable, optional
        Gets the start's name and every `Step`; a true value ends the fit.

    Returns
    -------
    MixedFit
    """
    rng = rng or np.random.default_rng(0)
    if first is not None and n_starts == 1:
        profile, starts = _profile_of(products, structure, law, reml, first), None
    else:
        profile = Profile(products, structure, law, reml)
        starts = Starts(profile, rng)
        if structure.any_basis:
            profile = Profile(products, structure, law, reml, starts.axes)
            starts = starts.along(profile)
    large = products.m * profile.q**2 * (profile.q + profile.p) > _LARGE
    slow = (
        large
        or products.m * profile.q * (profile.q + profile.p + 1) > _LONG
        or structure.size**3 > _WIDE
    )
    most = n_starts or (2 if slow else MOST_STARTS)
    stopped = False

    def watch(label: str, step: Step) -> object:
        nonlocal stopped
        tick()
        stopped = stopped or bool(callback is not None and callback(label, step))
        return stopped

    climbs: list[Climb] = []
    with Progress("starts", most, "start") as told:
        for label, start in _each_start(profile, starts, first):
            best = _best(climbs).point if climbs else None
            climbs.append(climb(profile, start, label, max_iter=max_iter, best=best, watch=watch))
            told.update()
            # Twice to a residual variance of zero: there is no maximum for others to find.
            hopeless = len(climbs) > 1 and all(one.unbounded for one in climbs)
            if len(climbs) >= most or stopped or hopeless:
                break
        if not stopped and _best(climbs).status == JOINED:
            best_climb = _best(climbs)
            climbs.append(climb(profile, best_climb.point.x, best_climb.label, watch=watch))
        curvature = None
        if not large and not stopped and not _best(climbs).unbounded:
            curvature = _leave_saddles(profile, climbs, max_iter, watch)
    best_climb = _best(climbs)
    lowest = best_climb.point.nll
    runs = tuple(
        Run(one.label, one.nll, one.nll - lowest, len(one.trace) - 1, one.status) for one in climbs
    )
    return MixedFit(
        products=products,
        structure=structure,
        law=law,
        reml=reml,
        point=best_climb.point,
        converged=best_climb.status == CONVERGED,
        message=best_climb.status,
        decrement=best_climb.decrement,
        trace=best_climb.trace,
        runs=runs,
        at_bound=_at_bound(profile, best_climb.point),
        curvature=curvature,
        mix=profile.mix,
    )


def _profile_of(
    products: CrossProducts, structure: Structure, law: ResidualLaw, reml: bool, first: MixedFit
) -> Profile:
    """In the basis of another fit, where that is free."""
    mix = None
    if structure.any_basis:
        # The other's, as columns in the user's units.
        mix = products.basis.z @ np.linalg.solve(first.products.basis.z, first.mix)
    return Profile(products, structure, law, reml, mix)


def _given(profile: Profile, first: MixedFit) -> Array:
    """(phi, theta) of another fit in this profile's basis."""
    change = np.linalg.solve(
        profile.mix, profile.products.basis.z @ np.linalg.solve(first.products.basis.z, first.mix)
    )
    phi = first.point.phi
    if not np.allclose(change, np.eye(profile.q), rtol=1e-9, atol=1e-9):
        root = change @ profile.structure.root(phi)
        phi = profile.structure.nearest(root @ root.T)
    return np.concatenate([phi, first.theta])


def _each_start(
    profile: Profile, starts: Starts | None, first: MixedFit | None
) -> Iterator[tuple[str, Array]]:
    if first is not None:
        yield "given", _given(profile, first)
    if starts is None:
        return
    yield "ols", starts.ols()
    yield "full", starts.full()
    yield "small", starts.small()
    while True:
        yield "random", starts.random()


def _best(climbs: list[Climb]) -> Climb:
    """The lowest, of those that tie the first that converged."""
    lowest = min(one.point.nll for one in climbs)
    tied = [one for one in climbs if one.point.nll <= lowest + SAME]
    return next((one for one in tied if one.converged), tied[0])


def _at_bound(profile: Profile, point: Point) -> Array:
    """Heywood cases: psi_j = 0 with the likelihood falling beyond, (q,)."""
    structure = profile.structure
    low = np.isfinite(structure.low)
    out = np.zeros(profile.q, dtype=bool)
    if low.any():
        out[:] = held(profile, point)[: structure.size][low]
    return out


class _Hessian:
    """The observed Hessian in units of standard errors, by differences of the gradient."""

    def __init__(self, profile: Profile, point: Point) -> None:
        self._profile, self._x = profile, point.x
        self._free = ~held(profile, point)
        F = scoring(profile, point, sizes=True)
        turned = rotations(profile, F, point)[self._free]
        F = F[np.ix_(self._free, self._free)]
        scale = np.sqrt(np.maximum(np.diagonal(F), 1e-8 * np.diagonal(F).max(initial=1e-300)))
        values, vectors = np.linalg.eigh(F / np.outer(scale, scale))
        # What the data do not tell has no curvature but that of rounding.
        some = values > _TOLD
        self._root = vectors[:, some] / np.sqrt(values[some]) / scale[:, None]
        self._turned = (self._root * scale[:, None]).T @ turned
        self.size = int(some.sum())

    def apply(self, v: Array) -> Array:
        """H v."""
        step = np.zeros(len(self._x))
        step[self._free] = self._root @ v
        h = 1e-3 / max(float(np.linalg.norm(v)), 1e-300)
        sides = [self._profile.at(self._x + t * step).gradient for t in (h, -h)]
        seen = self._root.T @ (sides[0] - sides[1])[self._free] / (2.0 * h)
        return np.asarray(seen + self._turned @ (self._turned.T @ v))

    def split(self, v: Array) -> tuple[Array, Array, Array]:
        """A change of theta, of phi, and nothing."""
        step = np.zeros(len(self._x))
        step[self._free] = self._root @ v
        cut = self._profile.structure.size
        return step[cut:], step[:cut], np.empty(0)


def lowest_curvature_at(profile: Profile, point: Point) -> tuple[float, Array]:
    """The smallest curvature, in units of the information, and its direction in (phi, theta).

    Rotations of loadings, which have none, are left aside. Eight products of the observed
    Hessian, of two evaluations each.
    """
    hessian = _Hessian(profile, point)
    if not hessian.size:
        return np.inf, np.zeros(len(point.x))
    found = lowest_curvature(hessian)
    return found.lowest, np.concatenate([found.F, found.gamma])


def _leave_saddles(
    profile: Profile,
    climbs: list[Climb],
    max_iter: int,
    watch: Callable[[str, Step], object],
) -> float:
    """Step off along negative curvature, both ways, until there is none (3 times at most)."""
    for _ in range(3):
        best = _best(climbs)
        lowest, direction = lowest_curvature_at(profile, best.point)
        if lowest > -1e-4 or best.status == STOPPED:
            return lowest
        for sign in (1.0, -1.0):
            start = best.point.x + sign * direction
            climbs.append(climb(profile, start, "off a saddle", max_iter=max_iter, watch=watch))
        now = _best(climbs)
        if now.point.nll > best.point.nll - SAME or now.unbounded:
            return lowest
    return lowest_curvature_at(profile, _best(climbs).point)[0]
