"""``load()``: results that `save` wrote."""

from __future__ import annotations

from typing import Any, Self

from statsmodels.iolib.smpickle import load_pickle

from sm_alsgls.border.arguments import path
from sm_alsgls.exceptions import SystemInputError


class Loadable:
    """Mixin of `LowRankSURResults` and its wrapper."""

    @classmethod
    def load(cls, fname: Any) -> Self:
        """Results that ``save`` wrote.

        A pickle is a program: reading one runs whatever it holds, before anything here can look
        at it. Load only files that you, or somebody whom you trust, have written.

        Parameters
        ----------
        fname : str, Path or file
            As given to ``save``.

        Returns
        -------
        LowRankSURResultsWrapper

        Raises
        ------
        SystemInputError
            The file holds something else, is no pickle, or needs a module that is not there.

        Examples
        --------
        >>> import io
        >>> from sm_alsgls import LowRankSUR
        >>> from sm_alsgls.datasets import load_grunfeld
        >>> res = LowRankSUR.from_formula(
        ...     "invest ~ value", load_grunfeld(), groups="firm", time="year", rank=1
        ... ).fit(n_starts=1)
        >>> file = io.BytesIO()
        >>> res.save(file)
        >>> _ = file.seek(0)
        >>> bool(type(res).load(file).llf == res.llf)
        True
        """
        path(fname, "fname", "read")
        try:
            made = load_pickle(fname)
        except OSError:
            raise
        except Exception as error:
            raise SystemInputError(
                f"{fname}: cannot be read as saved results ({type(error).__name__}: {error}); it "
                "must have been written by save(), with the packages that are installed now"
            ) from error
        inner = getattr(made, "_results", made)  # a view of an equation wraps nothing
        if not isinstance(inner, Loadable):
            kind = type(inner)
            raise SystemInputError(
                f"{fname}: holds {kind.__module__}.{kind.__qualname__}, not results of LowRankSUR"
            )
        return made
