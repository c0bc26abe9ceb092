# Reference values of docs/migrate/plm.md, by plm 2.6-2 and nlme.
#
#     Rscript panel_gls_plm.R > panel_gls_plm.csv
#
# Grunfeld's ten firms (plm) and Munnell's states (plm's Produc).
suppressPackageStartupMessages({library(plm); library(nlme)})
data("Grunfeld", package = "plm"); data("Produc", package = "plm")
cat("name,place,value\n")
say <- function(name, x)
  cat(sprintf("%s,%d,%s\n", name, seq_along(x) - 1, formatC(as.numeric(x), digits = 12, format = "g")), sep = "")
se <- function(V) sqrt(diag(V))

states <- pdata.frame(Produc, index = c("state", "year"))
f <- log(gsp) ~ log(pcap) + log(pc) + log(emp) + unemp
for (model in c("pooling", "within", "fd")) {
  m <- pggls(f, states, model = model)
  say(paste0("pggls.", model, ".b"), coef(m)); say(paste0("pggls.", model, ".se"), se(vcov(m)))
}
m <- plm(f, states, model = "random")
say("random.b", coef(m)); say("random.se", se(vcov(m)))
m <- lme(f, random = ~1 | state, data = Produc, method = "ML")
say("lme.b", fixef(m)); say("lme.se", se(vcov(m))); say("lme.llf", logLik(m))

firms <- pdata.frame(Grunfeld, index = c("firm", "year"))
g <- inv ~ value + capital
m <- plm(g, firms, model = "pooling")
say("pooling.b", coef(m)); say("pcse.se", se(vcovBK(m, cluster = "time")))
say("scc.se", se(vcovSCC(m, type = "HC0", maxlag = 3)))
m <- pggls(g, firms, model = "pooling", effect = "time")
say("parks.b", coef(m)); say("parks.se", se(vcov(m)))
m <- plm(g, firms, model = "within")
say("within.b", coef(m)); say("arellano.se", se(vcovHC(m, type = "HC0", cluster = "group")))
tight <- glsControl(tolerance = 1e-10, msTol = 1e-10)
for (method in c("ML", "REML")) {
  m <- gls(g, Grunfeld, correlation = corAR1(form = ~year | firm), weights = varIdent(form = ~1 | firm), method = method, control = tight)
  say(paste0("ar.", method, ".b"), coef(m)); say(paste0("ar.", method, ".rho"), coef(m$modelStruct$corStruct, unconstrained = FALSE))
  say(paste0("ar.", method, ".llf"), logLik(m))
}
