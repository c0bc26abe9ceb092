# Reference values of spatial errors, lags and their tests, by spatialreg 1.2-6 and spdep 1.2-7.
#
#     Rscript spatial_spatialreg.R > spatial_spatialreg.csv
#
# columbus.csv and columbus_neighbours.csv beside this: 49 neighbourhoods of Columbus, Ohio, 1980
# (Anselin 1988, table 12.1, and first-order contiguity), weights with rows that sum to one.
suppressPackageStartupMessages({library(spdep); library(spatialreg)})
d <- read.csv("columbus.csv")
A <- matrix(0, 49, 49)
A[as.matrix(read.csv("columbus_neighbours.csv"))] <- 1
lw <- mat2listw(A, style = "W")
cat("name,place,value\n")
say <- function(name, x)
  cat(sprintf("%s,%d,%s\n", name, seq_along(x) - 1, formatC(as.numeric(x), digits = 12, format = "g")), sep = "")
f <- CRIME ~ INC + HOVAL
tight <- list(tol.opt = 1e-14)

e <- errorsarlm(f, d, lw, method = "eigen", control = tight)
say("error.lam", e$lambda); say("error.lam.se", e$lambda.se)
say("error.b", coef(e)[-1]); say("error.b.se", e$rest.se)
say("error.llf", logLik(e)); say("error.s2", e$s2)

l <- lagsarlm(f, d, lw, method = "eigen", control = tight)
say("lag.rho", l$rho); say("lag.rho.se", l$rho.se)
say("lag.b", coef(l)[-1]); say("lag.b.se", l$rest.se)
say("lag.llf", logLik(l)); say("lag.s2", l$s2)

b <- sacsarlm(f, d, lw, method = "eigen")
say("both.rho", b$rho); say("both.rho.se", b$rho.se)
say("both.lam", b$lambda); say("both.lam.se", b$lambda.se)
say("both.b", coef(b)[-(1:2)]); say("both.b.se", b$rest.se)
say("both.llf", logLik(b)); say("both.s2", b$s2)

i <- impacts(l, listw = lw)
say("direct", i$direct); say("indirect", i$indirect); say("total", i$total)

tests <- lm.LMtests(lm(f, d), lw, test = "all")
for (n in names(tests)) say(n, c(tests[[n]]$statistic, tests[[n]]$p.value))
say("interval", 1 / range(Re(eigenw(lw))))
