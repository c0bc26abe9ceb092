# SUR with an unrestricted Sigma by R systemfit, two steps and iterated, Sigma = E'E/N:
#
#   python -c "from sm_alsgls.datasets import *; load_grunfeld().to_csv('grunfeld.csv', index=False)
#   load_berndt_wood().to_csv('berndt_wood.csv', index=False)"
#   Rscript tests/reference/full_systemfit.R grunfeld.csv berndt_wood.csv tests/reference \
#     > tests/reference/full_systemfit.csv
#
# A row is a system, a method, a quantity (coef, std_err, sigma, llf), a name and a value; sigma's
# names are pairs of equations.
suppressMessages(library(systemfit))
args <- commandArgs(trailingOnly = TRUE)
grunfeld <- read.csv(args[1])
berndt_wood <- read.csv(args[2])
kmenta <- read.csv(file.path(args[3], "kmenta.csv"))
ppine <- read.csv(file.path(args[3], "ppine.csv"))

cat("# R", as.character(getRversion()), "systemfit", as.character(packageVersion("systemfit")), "\n")
cat("system,method,quantity,name,value\n")
put <- function(system, method, quantity, name, value)
  cat(system, ",", method, ",", quantity, ",", name, ",", sprintf("%.16g", value), "\n", sep = "")

# systemfit recomputes Sigma from the last residuals before it stops: two steps are maxiter = 1.
fit <- function(system, formulas, data, restrictions = NULL, methods = c("two-step", "ml")) {
  for (method in methods) {
    found <- systemfit(formulas, "SUR", data = data, methodResidCov = "noDfCor",
                       restrict.matrix = restrictions, maxiter = if (method == "ml") 1000 else 1,
                       tol = 1e-13)
    cat("# ", system, " ", method, ": ", found$iter, " iterations\n", sep = "")
    b <- coef(found)
    se <- sqrt(diag(vcov(found)))
    for (n in names(b)) {
      put(system, method, "coef", n, b[[n]])
      put(system, method, "std_err", n, se[[n]])
    }
    # The Sigma of the coefficients: for two steps that of the OLS residuals.
    S <- found$residCovEst
    for (i in rownames(S)) for (j in rownames(S)) if (i <= j)
      put(system, method, "sigma", paste(i, j, sep = ":"), S[i, j])
    put(system, method, "llf", "", as.numeric(logLik(found)))
  }
}

firms <- c("General Motors", "Chrysler", "US Steel", "General Electric", "Westinghouse",
           "Atlantic Refining", "IBM", "Union Oil", "Goodyear", "Diamond Match", "American Steel")
for (K in c(2, 3, 5, 11)) {
  wide <- data.frame(year = 1935:1954)
  formulas <- list()
  for (firm in firms[1:K]) {
    part <- grunfeld[grunfeld$firm == firm, ]
    part <- part[order(part$year), ]
    name <- gsub(" ", "", firm)
    for (v in c("invest", "value", "capital")) wide[[paste(v, name, sep = ".")]] <- part[[v]]
    formulas[[name]] <- as.formula(sprintf("invest.%s ~ value.%s + capital.%s", name, name, name))
  }
  # Eleven firms have no maximum: 34 columns make combinations of errors vanish in 20 rows.
  fit(paste0("grunfeld", K), formulas, wide, methods = if (K < 11) c("two-step", "ml") else "two-step")
}

# Both equations explain the same consumption, so their difference can be fitted exactly, and the
# likelihood has no bound.
fit("kmenta", list(demand = consump ~ price + income,
                   supply = consump ~ price + farmPrice + trend), kmenta, methods = "two-step")
fit("ppine", list(height = hg ~ log(tht) + elev + cr, diameter = dg ~ log(dbh) + cr + ba), ppine)

# Berndt and Wood's translog: symmetry imposed, homogeneity by prices relative to the dropped one;
# the materials' share is one less the others.
inputs <- c("capital", "labor", "energy", "materials")
shares <- berndt_wood[, paste0(inputs, "_share")]
names(shares) <- inputs
shares$materials <- 1 - shares$capital - shares$labor - shares$energy
for (dropped in inputs) {
  left <- setdiff(inputs, dropped)
  data <- shares
  for (i in left)
    data[[paste0("p.", i)]] <- log(berndt_wood[[paste0(i, "_price")]]) -
      log(berndt_wood[[paste0(dropped, "_price")]])
  formulas <- list()
  for (i in left)
    formulas[[i]] <- as.formula(paste(i, "~", paste0("p.", left, collapse = " + ")))
  symmetry <- c()
  for (i in 1:2) for (j in (i + 1):3)
    symmetry <- c(symmetry, sprintf("%s_p.%s - %s_p.%s = 0", left[i], left[j], left[j], left[i]))
  fit(paste0("berndt_wood_", dropped), formulas, data, symmetry)
}
