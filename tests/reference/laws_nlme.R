# Values of tests/core/laws/test_reference.py and tests/core/errors/test_tied.py.
# R 4, nlme, plm (its ten firms of Grunfeld's data). Rscript laws_nlme.R > laws_nlme.csv
library(nlme)
data("Grunfeld", package = "plm")
g <- Grunfeld
control <- glsControl(tolerance = 1e-14, msTol = 1e-14, msMaxIter = 1000, maxIter = 500)
each <- varIdent(form = ~ 1 | firm)
say <- function(name, llf, b, extra = c()) {
  cat(sprintf("%s,%s,%.12g\n", name, c("llf", "const", "value", "capital", names(extra)),
              c(llf, b, extra)), sep = "")
}
fit <- function(name, data, ..., extra = function(m) c()) {
  m <- gls(inv ~ value + capital, data, ..., method = "ML", control = control)
  say(name, logLik(m)[1], coef(m), extra(m))
}
phi <- function(m) c(phi = unname(coef(m$modelStruct$corStruct, unconstrained = FALSE)))
power <- function(m) {
  p <- coef(m$modelStruct$varStruct)
  c(power = unname(p[length(p)]))
}
cat("model,what,value\n")
fit("harvey", g, weights = varPower(form = ~ value), extra = power)
fit("each", g, weights = each)
fit("each ar", g, weights = each, correlation = corAR1(form = ~ year | firm), extra = phi)
fit("each power ar", g, weights = varComb(each, varPower(form = ~ value)),
    correlation = corAR1(form = ~ year | firm), extra = function(m) c(phi(m), power(m)))
holes <- g[!(g$year %in% c(1938, 1939, 1947)), ]
holes <- holes[!(holes$firm == 3 & holes$year == 1942) & !(holes$firm == 7 & holes$year < 1937), ]
fit("each car holes", holes, weights = each, correlation = corCAR1(form = ~ year | firm), extra = phi)
for (firm in c(1, 4)) {
  m <- gls(inv ~ value + capital, g[g$firm == firm, ], correlation = corAR1(form = ~ year),
           method = "REML", control = control)
  say(paste("reml", firm), NA, coef(m), phi(m))
}
m <- gls(inv ~ value + capital, g, weights = varPower(form = ~ value), method = "REML",
         control = control)
say("reml harvey", NA, coef(m), power(m))
m <- lme(inv ~ value + capital, random = ~ 1 | firm, data = g, method = "ML",
         control = lmeControl(tolerance = 1e-12, msTol = 1e-12, msMaxIter = 500))
say("random effects", logLik(m)[1], fixef(m))
