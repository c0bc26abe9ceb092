"""Real systems, offline."""

from __future__ import annotations

import importlib
from importlib import resources

import pandas as pd
import statsmodels.api as sm


def load_grunfeld() -> pd.DataFrame:
    """Investment of 11 US firms, 1935-1954 (Grunfeld 1958), embedded in statsmodels.

    Returns
    -------
    DataFrame, 220 rows
        invest, value, capital (millions of 1947 dollars), firm, year.

    Examples
    --------
    >>> load_grunfeld().shape
    (220, 5)
    """
    data = sm.datasets.grunfeld.load_pandas().data.copy()
    data["year"] = data["year"].astype(int)
    return data


def load_munnell() -> pd.DataFrame:
    """Output and capital of 48 US states, 1970-1986 (Munnell 1990), from linearmodels.

    Returns
    -------
    DataFrame, 816 rows
        state, year, gsp, p_cap, hwy, water, util, pc (millions of dollars), emp (thousands),
        unemp (percent).

    Raises
    ------
    ImportError
        Without linearmodels; it names the install command.
    """
    data = _linearmodels("munnell").load()
    data.columns = [str(c).lower() for c in data.columns]
    return data.rename(columns={"st_abb": "state", "state": "state_name", "yr": "year"})


def load_french() -> pd.DataFrame:
    """Monthly returns of 30 US portfolios and four factors, 1949-2017 (French), from linearmodels.

    Returns
    -------
    DataFrame, 819 rows indexed by month
        MktRF, SMB, HML, Mom, RF and 30 portfolios' excess returns over RF, as fractions.

    Raises
    ------
    ImportError
        Without linearmodels; it names the install command.
    """
    data = _linearmodels("french").load().set_index("dates")
    portfolios = data.columns[5:]
    data[portfolios] = data[portfolios].sub(data["RF"], axis=0)
    return data


def load_berndt_wood() -> pd.DataFrame:
    """Cost shares and prices of US manufacturing, 1947-1971 (Berndt and Wood 1975).

    Shares are rounded to five digits, so that they add up to one to 2e-4 only.

    Returns
    -------
    DataFrame, 25 rows
        year, cost (billions of dollars), and of capital, labor, energy and materials the share of
        cost and the price index (1947 = 1), such as capital_share and capital_price.

    References
    ----------
    Berndt and Wood (1975), Review of Economics and Statistics 57, 259-268.

    Examples
    --------
    >>> from sm_alsgls.datasets import load_berndt_wood
    >>> load_berndt_wood()["energy_share"].mean().round(4)
    np.float64(0.0448)
    """
    with resources.files("sm_alsgls.datasets").joinpath("berndt_wood.csv").open() as file:
        return pd.read_csv(file)


def _linearmodels(name: str) -> object:
    try:
        return importlib.import_module(f"linearmodels.datasets.{name}")
    except ImportError as error:
        raise ImportError(
            f"the {name} data come with linearmodels: pip install 'sm_alsgls[data]'"
        ) from error
