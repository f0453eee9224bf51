"""The report, the model cards, and the plots and tables of both, from `sql/report/`: nothing here computes a metric."""
