"""The report, the model cards, and the plots and tables of both, from `sql/report/`. Nothing here computes a metric."""
