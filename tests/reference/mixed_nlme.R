# Values of tests of mixed models: nlme's lme, with a residual variance a level (varIdent) and
# AR(1) residuals within groups, with and without gaps. In this folder: Rscript mixed_nlme.R
#
# sigma is the residual's standard deviation where the ratio is 1 (nlme's first level is that of the
# first group in sorted order, F01), marginal in AR(1). `sleepstudy ar` with a slope ends on the boundary, G singular,
# where nlme's optimizers differ by 1e-3 in llf: good to about 1e-6 in llf, 1e-3 in estimates.
# Gaps (few = 1): corAR1 with a period as covariate and corCAR1 are one model for phi >= 0.
source("mixed_write.R")
library(nlme)
search <- function(opt) {
  lmeControl(opt = opt, tolerance = 1e-12, msTol = 1e-13, msMaxIter = 5000, msMaxEval = 20000,
             maxIter = 500, niterEM = 50, apVar = FALSE, returnObject = TRUE)
}
fits <- list()
values <- function(m) {
  s <- m$modelStruct
  v <- list(llf = logLik(m)[1], names = names(fixef(m)), fixef = fixef(m), vcov = m$varFix, se = sqrt(diag(m$varFix)),
            cov_re = unclass(as.matrix(getVarCov(m))), sigma = m$sigma,
            groups = rownames(ranef(m)), ranef = as.matrix(ranef(m)))
  if (!is.null(s$corStruct)) v$phi <- coef(s$corStruct, unconstrained = FALSE)
  if (!is.null(s$varStruct)) v$ratios <- as.list(coef(s$varStruct, unconstrained = FALSE, allCoef = TRUE))
  v
}
add <- function(name, fixed, random, data, ...) {
  for (method in c("ML", "REML")) {
    found <- lapply(c("nlminb", "optim"), function(opt) {
      tryCatch(
        suppressWarnings(do.call(lme, list(fixed, data, random, method = method, control = search(opt), ...))),
        error = function(e) NULL)
    })
    found <- found[!sapply(found, is.null)]
    llf <- sapply(found, logLik)
    m <- found[[which.max(llf)]]  # either alone may stop early, or with an error
    fits[[paste(name, method)]] <<- c(about(name, data, fixed[[3]], random[[2]][[2]]), values(m))
    cat(name, method, format(c(max(llf), diff(llf)), digits = 12), "\n")
  }
}
slope <- Reaction ~ Days
growth <- distance ~ age + Sex
sexes <- varIdent(form = ~ 1 | Sex)
add("sleepstudy slope", slope, ~ Days | Subject, sleepstudy)
add("sleepstudy intercept", slope, ~ 1 | Subject, sleepstudy)
add("orthodont age", distance ~ age, ~ age | Subject, orthodont)
add("orthodont sex", growth, ~ age | Subject, orthodont)
add("orthodont levels", growth, ~ age | Subject, orthodont, weights = sexes)
add("orthodont levels intercept", growth, ~ 1 | Subject, orthodont, weights = sexes)
add("orthodont levels few", growth, ~ 1 | Subject, few(orthodont), weights = sexes)
add("orthodont ar", growth, ~ 1 | Subject, orthodont, correlation = corAR1(form = ~ occasion | Subject))
add("orthodont ar few", growth, ~ 1 | Subject, few(orthodont), correlation = corAR1(form = ~ occasion | Subject))
add("sleepstudy ar", slope, ~ Days | Subject, sleepstudy, correlation = corAR1(form = ~ Days | Subject))
add("sleepstudy ar intercept", slope, ~ 1 | Subject, sleepstudy, correlation = corAR1(form = ~ Days | Subject))
add("sleepstudy ar few", slope, ~ Days | Subject, few(sleepstudy), correlation = corAR1(form = ~ Days | Subject))
add("sleepstudy car few", slope, ~ Days | Subject, few(sleepstudy), correlation = corCAR1(form = ~ Days | Subject))
add("sleepstudy ar intercept few", slope, ~ 1 | Subject, few(sleepstudy),
    correlation = corAR1(form = ~ Days | Subject))
add("orthodont levels ar few", growth, ~ 1 | Subject, few(orthodont), weights = sexes,
    correlation = corAR1(form = ~ occasion | Subject))
say(fits, "mixed_nlme.json")
