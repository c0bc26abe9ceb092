"""Real systems, offline."""

from __future__ import annotations

import importlib
from importlib import resources

import pandas as pd


def load_grunfeld() -> pd.DataFrame:
    """Investment of 11 US firms, 1935-1954 (Grunfeld 1958), embedded in statsmodels.

    Returns
    -------
    DataFrame, 220 rows
        invest, value, capital (millions of 1947 dollars), firm, year.

    Notes
    -----
    The data of the dissertation, as in R's AER. Textbooks have other versions, Greene's of 2003
    with three errors in US Steel (Kleiber and Zeileis 2010; docs/textbook/grunfeld.md).

    Examples
    --------
    >>> load_grunfeld().shape
    (220, 5)
    """
    # With it come all data of statsmodels, but not statsmodels.api.
    from statsmodels.datasets import grunfeld

    data = grunfeld.load_pandas().data.copy()
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
    return _shipped("berndt_wood")


def load_klein() -> pd.DataFrame:
    """Klein's model I of the US economy, 1920-1941 (Klein 1950).

    Returns
    -------
    DataFrame, 22 rows
        year; in billions of 1934 dollars consump (consumption), corpProf and corpProfLag (profits),
        privWage, govWage and wages (private and public wage bill, and their sum), invest,
        capitalLag (capital stock at the year's begin), gnp and gnpLag (without public wages, with
        indirect taxes), govExp, taxes; trend (year - 1931). The first row has no lags.

    References
    ----------
    Klein (1950), *Economic Fluctuations in the United States, 1921-1941*. Values and names are
    those of ``KleinI`` in R's systemfit.

    Examples
    --------
    >>> from sm_alsgls.datasets import load_klein
    >>> load_klein().loc[1:, ["consump", "corpProf", "wages"]].mean().round(3).to_dict()
    {'consump': 53.995, 'corpProf': 16.89, 'wages': 41.481}
    """
    return _shipped("klein")


def load_cigarettes() -> pd.DataFrame:
    """Sales and prices of cigarettes in 46 US states, 1963-1992 (Baltagi and Levin 1992).

    Returns
    -------
    DataFrame, 1380 rows
        state, year, sales (packs a head), price (cents a pack), cpi (1983 = 100), ndi (disposable
        income a head, dollars), pimin (least price in adjoining states).

    References
    ----------
    Baltagi and Levin (1992), Cigarette taxation: raising revenues and reducing consumption,
    *Structural Change and Economic Dynamics* 3, 321-335. Values are those of ``Cigar`` in R's plm.

    Examples
    --------
    >>> from sm_alsgls.datasets import load_cigarettes
    >>> load_cigarettes().groupby("state")["sales"].mean().nlargest(2).round(1).to_dict()
    {'NH': 236.5, 'KY': 180.0}
    """
    return _shipped("cigarettes")


def load_sleepstudy() -> pd.DataFrame:
    """Reaction times of 18 people whose sleep was kept short for ten days (Belenky et al. 2003).

    Returns
    -------
    DataFrame, 180 rows
        Subject, Days (of short sleep, 0 to 9), Reaction (mean of a day, milliseconds).

    References
    ----------
    Belenky et al. (2003), Patterns of performance degradation and restoration during sleep
    restriction and subsequent recovery, *Journal of Sleep Research* 12, 1-12. Values are those of
    ``sleepstudy`` in R's lme4.

    Examples
    --------
    >>> from sm_alsgls.datasets import load_sleepstudy
    >>> load_sleepstudy().groupby("Days")["Reaction"].mean().loc[[0, 9]].round(1).to_dict()
    {0: 256.7, 9: 350.9}
    """
    return _shipped("sleepstudy")


def load_orthodont() -> pd.DataFrame:
    """Growth of a distance in the heads of 27 children (Potthoff and Roy 1964).

    Returns
    -------
    DataFrame, 108 rows
        Subject, Sex, age (8, 10, 12 and 14 years), distance (from the pituitary to the
        pterygomaxillary fissure, millimetres).

    References
    ----------
    Potthoff and Roy (1964), A generalized multivariate analysis of variance model useful
    especially for growth curve problems, *Biometrika* 51, 313-326. Values are those of
    ``Orthodont`` in R's nlme.

    Examples
    --------
    >>> from sm_alsgls.datasets import load_orthodont
    >>> load_orthodont().groupby("Sex")["distance"].mean().round(2).to_dict()
    {'Female': 22.65, 'Male': 24.97}
    """
    return _shipped("orthodont")


def _shipped(name: str) -> pd.DataFrame:
    with resources.files("sm_alsgls.datasets").joinpath(f"{name}.csv").open() as file:
        return pd.read_csv(file)


def _linearmodels(name: str) -> object:
    try:
        return importlib.import_module(f"linearmodels.datasets.{name}")
    except ImportError as error:
        raise ImportError(
            f"the {name} data come with linearmodels: pip install 'sm_alsgls[data]'"
        ) from error
