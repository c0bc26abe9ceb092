"""What laws of the errors are called where they are no number of factors."""

#: A law of an unrestricted Sigma.
FULL = "full"
#: That of one variance and one covariance.
EXCHANGEABLE = "exchangeable"
#: That of one variance alone.
SPHERICAL = "spherical"
#: That of one variance within rows, whose levels are swept out.
WITHIN = "within"
#: Those that know one variance for all equations, so that weights compare equations too.
OF_ALL = (EXCHANGEABLE, SPHERICAL, WITHIN)
