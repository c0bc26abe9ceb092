# Common correlated effects by plm's pcce(), pooled and mean group, on the data that plm brings:
#   Rscript tests/reference/interactive_plm.R tests/reference
# writes interactive_plm.csv and the columns that are used of Cigar and Produc.
suppressPackageStartupMessages(library(plm))
out <- commandArgs(TRUE)[1]
data(Cigar, Produc, package = "plm")
cigar <- log(sales) ~ log(price) + log(ndi)
produc <- log(gsp) ~ log(pcap) + log(pc) + log(emp) + unemp
rows <- list()
keep <- function(name, formula, data, model, ...) {
  m <- pcce(formula, data = data, model = model, ...)
  V <- m$vcov
  rows[[length(rows) + 1]] <<- data.frame(
    data = name, model = model, term = names(coef(m)), estimate = unname(coef(m)),
    se = sqrt(diag(V)), rss = sum(m$residuals^2))
}
hole <- Cigar[-c(5, 40, 41, 300, 777, 1200:1210), ]
for (model in c("p", "mg")) {
  keep("cigar", cigar, Cigar, model)
  keep("produc", produc, Produc, model)
  keep("unbalanced", cigar, hole, model)
  keep("trend", cigar, Cigar, model, trend = TRUE)
}
all <- do.call(rbind, rows)
for (column in c("estimate", "se", "rss")) all[[column]] <- sprintf("%.12g", all[[column]])
write.csv(all, file.path(out, "interactive_plm.csv"), row.names = FALSE, quote = FALSE)
write.csv(Cigar[c("state", "year", "sales", "price", "ndi")],
          file.path(out, "cigar.csv"), row.names = FALSE, quote = FALSE)
write.csv(Produc[c("state", "year", "gsp", "pcap", "pc", "emp", "unemp")],
          file.path(out, "produc.csv"), row.names = FALSE, quote = FALSE)
