"""Values of panel_linearmodels.csv, by linearmodels on its wage_panel data.

python tests/reference/panel_linearmodels.py > tests/reference/panel_linearmodels.csv
"""

from linearmodels.datasets import wage_panel
from linearmodels.panel import PanelOLS, RandomEffects

data = wage_panel.load().set_index(["nr", "year"])
formula = "lwage ~ 1 + expersq + union + married"
effects = {
    "entity": formula + " + EntityEffects",
    "time": formula + " + TimeEffects",
    "both": formula + " + EntityEffects + TimeEffects",
}
print("what,name,value")
for what, text in effects.items():
    fit = PanelOLS.from_formula(text, data).fit()
    for name, value in fit.params.items():
        print(f"{what},{name},{value:.15g}")
fit = RandomEffects.from_formula(formula, data).fit()
for name, value in fit.params.items():
    print(f"random,{name},{value:.15g}")
for name, value in fit.variance_decomposition.items():
    print(f"random,{name},{value:.15g}")
