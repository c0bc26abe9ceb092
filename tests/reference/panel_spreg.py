"""Reference values of docs/migrate/spreg.md, by spreg 1.9.0 and libpysal 4.14.1.

    python tests/reference/panel_spreg.py > tests/reference/panel_spreg.csv

The data are the page's: the same lines make them there.
"""

import numpy as np
import pandas as pd
import spreg
from libpysal.weights import W as Weights

side, months = 6, 30
places = [(i, j) for i in range(side) for j in range(side)]
steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
near = {
    f"{i}{j}": [f"{i + a}{j + b}" for a, b in steps if (i + a, j + b) in places] for i, j in places
}
rng = np.random.default_rng(1)
x = rng.standard_normal((months, len(near)))
e = rng.standard_normal(x.shape) + rng.standard_normal(len(near))
adjacent = pd.DataFrame(
    {a: {b: float(b in near[a]) for b in near} for a in near}
).T  # a row a region
A = np.eye(len(near)) - 0.4 * (adjacent.to_numpy().T / adjacent.to_numpy().sum(axis=1)).T
y = 1.0 + x + np.linalg.solve(A, e.T).T

w = Weights(near, id_order=list(near), silence_warnings=True)
w.transform = "r"
print("name,place,value")
for name in ("Panel_FE_Error", "Panel_FE_Lag", "Panel_RE_Lag"):
    fit = getattr(spreg, name)(y.reshape(-1, 1), x.reshape(-1, 1), w)
    for what, values in (("b", fit.betas), ("se", fit.std_err)):
        for place, value in enumerate(np.ravel(values)):
            print(f"{name}.{what},{place},{value:.12g}")
