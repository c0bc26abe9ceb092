"""Common correlated effects of produc.csv with 50 digits: plm's have six or seven.

    python tests/reference/interactive_cce.py

prints pooled and mean group slopes of log gsp on log pcap, log pc, log emp and unemp.
"""

from pathlib import Path

import mpmath as mp
import numpy as np
import pandas as pd

mp.mp.dps = 50
frame = pd.read_csv(Path(__file__).parent / "produc.csv")
wide = [
    frame.pivot(index="year", columns="state", values=name).to_numpy(float)
    for name in ("gsp", "pcap", "pc", "emp", "unemp")
]
wide = [np.log(one) for one in wide[:4]] + wide[4:]
(T, n), p = wide[0].shape, 4
H = mp.matrix(T, 2 + p)
for t in range(T):
    H[t, 0] = 1
    for j, one in enumerate(wide):
        H[t, 1 + j] = sum(mp.mpf(value) for value in one[t]) / n
M = mp.eye(T) - H * mp.inverse(H.T * H) * H.T
total, moments, mean = mp.zeros(p), mp.zeros(p, 1), mp.zeros(p, 1)
for i in range(n):
    y = mp.matrix(wide[0][:, i].tolist())
    x = mp.matrix(np.column_stack([one[:, i] for one in wide[1:]]).tolist())
    S, m = x.T * M * x, x.T * M * y
    total, moments, mean = total + S, moments + m, mean + mp.inverse(S) * m / n
print("pooled", [mp.nstr(value, 12) for value in mp.inverse(total) * moments])
print("mean group", [mp.nstr(value, 12) for value in mean])
