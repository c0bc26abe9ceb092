"""Expected information about the parameters of a law whose rows are independent: levels' variances.

With J_l the rows of level l, dR / dtheta_l = R J_l, N_l = w_l Z'J_l Z and what `likelihood` has,

    Z'Vbar^-1 R J_l Vbar^-1 Z       = A_l = (I - ZZ Gamma*) N_l (I - Gamma* ZZ)
    tr(Vbar^-1 R J_l)               = n_l - tr(Gamma* N_l)
    tr(Vbar^-1 R J_l Vbar^-1 R J_k) = delta_lk (n_l - 2 tr(Gamma* N_l)) + tr(Gamma* N_l Gamma* N_k)

summed over groups. Where rows are dependent R J_l is no product of rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sm_alsgls.core.mixed.likelihood import Point, Profile, shrunken

Array = np.ndarray


class LevelInformation(NamedTuple):
    """Twice the expected information of theta under ML, with phi, itself, and log s2.

    Attributes
    ----------
    with_phi : ndarray, shape (law.size, structure.size)
    own : ndarray, shape (law.size, law.size)
    with_s2 : ndarray, shape (law.size,)
    """

    with_phi: Array
    own: Array
    with_s2: Array


def of_independent(profile: Profile, point: Point) -> LevelInformation:
    """Theta's part of the information of (phi, theta, log s2); O(m L q^2 (q + L))."""
    structure, law, C = profile.structure, profile.law, profile.products.C
    q, A, w = profile.q, profile.root(point.phi), law.weights(point.theta)
    Zs, _ = profile.weighted(point.theta)
    first = law.terms - law.size
    in_gamma = np.zeros((law.size, q, q))
    traces, both = np.zeros(law.size), np.zeros((law.size, law.size))
    for at in profile.pieces(q * max(1, law.terms // 4)):
        shrunk = shrunken(A, Zs[at])
        left = np.eye(q) - np.matmul(Zs[at, :, :q], shrunk)
        N = w[first:, None, None] * C[at, first:, :q, :q]
        GN = np.matmul(shrunk[:, None], N)
        outer = np.matmul(np.matmul(left[:, None], N), left.transpose(0, 2, 1)[:, None])
        in_gamma += outer.sum(axis=0)
        traces += np.trace(GN, axis1=2, axis2=3).sum(axis=0)
        some = len(GN)
        flat = GN.transpose(1, 0, 2, 3).reshape(law.size, some * q * q)
        turned = GN.transpose(1, 0, 3, 2).reshape(law.size, some * q * q)
        both += flat @ turned.T
    counts = profile.counts[first:]
    with_phi = [structure.pull(point.phi, profile.mix.T @ S @ profile.mix) for S in in_gamma]
    return LevelInformation(
        np.stack(with_phi), np.diag(counts - 2.0 * traces) + both, counts - traces
    )
