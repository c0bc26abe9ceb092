"""Every error and warning that ``sm_alsgls`` raises, in one tree.

Errors about what the caller passed derive from ``ValueError`` as well, because that is what a
statsmodels user catches; warnings derive from ``UserWarning`` through statsmodels'
``ModelWarning``, so that filters written for statsmodels keep working.
"""

from __future__ import annotations

from statsmodels.tools.sm_exceptions import ConvergenceWarning as _SMConvergenceWarning
from statsmodels.tools.sm_exceptions import ModelWarning


class AlsglsError(Exception):
    """Root of every error of this package."""


class SystemInputError(AlsglsError, ValueError):
    """The data or an argument cannot be used; the message says which and what to do."""


class ShapeError(SystemInputError):
    """Rows, columns or numbers of equations do not fit together."""


class NonFiniteError(SystemInputError):
    """NaN or infinity where numbers are needed."""


class DataChangedError(SystemInputError):
    """An array too large to copy was written to after a model read it; make a new model."""


class RankDeficientError(SystemInputError):
    """A design matrix has linearly dependent columns."""


class DegenerateResponseError(SystemInputError):
    """A response is constant, or its own regressors fit it exactly."""


class DuplicateEquationError(SystemInputError):
    """Equations' residuals are linearly dependent, so their covariance is singular."""


class IllegalRankError(SystemInputError):
    """The number of factors is not identified; the message gives the largest legal one."""


class NoFactorsError(SystemInputError):
    """Something about factors is asked of a fit of rank 0."""


class RestrictionError(SystemInputError):
    """Restrictions on coefficients cannot be read, repeat or contradict one another."""


class InsufficientRowsError(SystemInputError):
    """Too few observations for an equation's regressors (and the factors)."""


class InstrumentError(SystemInputError):
    """Instruments that cannot be used; the message names equation, column, and what to do."""


class UnderidentifiedError(InstrumentError):
    """An equation has fewer instruments than regressors, or they do not tell these apart."""


class OptionError(SystemInputError):
    """A fitting option is outside its range."""


class UnrestrictedSigmaError(OptionError, NoFactorsError):
    """Something about factors is asked of a fit whose Sigma is unrestricted."""


class NoLikelihoodError(OptionError, AttributeError):
    """Something about the likelihood is asked of an estimator that has none: hasattr is False."""


class ArgumentTypeError(OptionError, TypeError):
    """An argument is of a kind that cannot be used: no bool, no function, no Axes."""


class UnknownArgumentError(OptionError, TypeError):
    """A keyword that a method does not have; the message names the one that does its work."""


class UnknownEquationError(OptionError, KeyError):
    """The system has no equation of this name; the message gives the nearest."""

    __str__ = Exception.__str__  # KeyError prints the repr of its message


class UnknownAttributeError(AlsglsError, AttributeError):
    """Another package's name for something; the message says what it is called here, if it is."""


class NotApplicableError(AlsglsError, NotImplementedError):
    """A method of statsmodels' that means nothing for a system; the message says what does."""


class FormulaError(SystemInputError):
    """A formula cannot be read, or names something that the data do not have."""


class NumberTextError(FormulaError):
    """A column of a formula is text though most of its values are numbers."""


class UnbalancedPanelError(SystemInputError):
    """A long panel lacks, or repeats, some (group, time) cells."""


class UnseenLevelError(SystemInputError):
    """New data hold a level, group or column that the training data did not have."""


class CallableError(AlsglsError, RuntimeError):
    """A function or an iterator that the caller passed raised; what it raised is the cause."""


class DataRemovedError(AlsglsError, AttributeError):
    """Something needs rows that are gone: ``remove_data()``, or a stream; ``hasattr`` is False."""


class MissingExtraError(AlsglsError, ImportError):
    """A package of an optional extra is not installed; the message gives the command."""


class IterationError(AlsglsError, RuntimeError):
    """An iteration that must end in a number did not; the message says what to look at."""


class ClusterError(AlsglsError, RuntimeError):
    """A cluster has no workers, loses them again and again, or was closed in the middle."""


class OutOfStepError(AlsglsError, RuntimeError):
    """Shards of one computation asked for different sums: a fault of the program they run."""


class AlsglsWarning(ModelWarning):
    """Root of every warning of this package."""


class RankWarning(AlsglsWarning):
    """The rank is doubtful: a rule's choice is 0 for want of data, or a fitted one is too high."""


class OneEquationWarning(AlsglsWarning):
    """Formulas made one equation, which is OLS; a long panel was perhaps meant to have groups."""


class ConvergenceWarning(AlsglsWarning, _SMConvergenceWarning):
    """The fit stopped before it was stationary; the message gives the reason and the remedy."""


class FewGroupsWarning(AlsglsWarning):
    """A random effect is seen in a few groups only, so that its variance is hardly known."""


class RestrictedLikelihoodWarning(AlsglsWarning):
    """Parameters of laws are those of the maximum, though ``reml=True`` asks for corrected ones."""


class HeywoodWarning(AlsglsWarning):
    """A unique variance sits at its lower bound: that equation is fitted by the factors alone."""


class WeakInstrumentWarning(AlsglsWarning):
    """Instruments say little about an endogenous regressor: estimates lean towards OLS."""


class BootstrapWarning(AlsglsWarning):
    """Draws of a bootstrap that identify no estimate were left out; the message says why."""


class CovarianceWarning(AlsglsWarning):
    """A robust covariance is not what it should be in this sample; the message says where."""
