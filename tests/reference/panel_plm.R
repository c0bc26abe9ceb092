# Values of panel_plm.csv, by plm on its own data sets.
#   Rscript tests/reference/panel_plm.R > tests/reference/panel_plm.csv
suppressMessages(library(plm))
data(Grunfeld); data(Produc)
said <- function(name, values)
  for (i in seq_along(values)) cat(sprintf("%s,%s,%.15g\n", name, names(values)[i], values[i]))
cat("what,name,value\n")
f <- inv ~ value + capital
random <- plm(f, Grunfeld, model = "random")
said("swamy-arora", coef(random)); said("variances", random$ercomp$sigma2)
said("within", coef(plm(f, Grunfeld, model = "within")))
said("twoways", coef(plm(f, Grunfeld, model = "within", effect = "twoways")))
pooled <- plm(f, Grunfeld, model = "pooling")
said("breusch-pagan", c(lm = unname(plmtest(pooled, type = "bp")$statistic)))
cut <- Grunfeld[-c(3, 27, 28, 150, 199), ]
said("cut breusch-pagan", c(lm = unname(plmtest(plm(f, cut, model = "pooling"), type = "bp")$statistic)))
said("cut within", coef(plm(f, cut, model = "within")))
g <- log(gsp) ~ log(pcap) + log(pc) + log(emp) + unemp
mean.group <- pmg(g, Produc, model = "mg")
said("mean group", coef(mean.group)); said("mean group se", sqrt(diag(vcov(mean.group))))
cce <- pcce(g, Produc, model = "mg")
said("cce mean group", coef(cce)); said("cce mean group se", sqrt(diag(vcov(cce))))
said("cce pooled", coef(pcce(g, Produc, model = "p")))
