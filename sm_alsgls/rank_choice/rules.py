"""What rules for the number of factors are called, and which candidate each takes."""

# Which end of a criterion is its choice; the order is that of the methods in messages.
RULES = {
    **dict.fromkeys(
        ("bic_ols", "bic_robust", "aic_ols", "bic", "aic", "ebic", "ic1", "ic2", "ic3"), "least"
    ),
    **dict.fromkeys(("er", "gr"), "most"),
    "ed": "last above 1",
    "lr": "first accepted",
    "cv": "least",
}

# These look at OLS residuals only: no candidate is fitted.
RESIDUAL_RULES = ("bic_ols", "aic_ols", "ic1", "ic2", "ic3", "er", "gr", "ed")

METHODS = ("auto", "rule", *RULES)
