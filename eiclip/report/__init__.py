"""The report: one HTML page about a home's experiments, the model card, and the plots and tables that both show.

It reads the catalogue through `sql/report/`; nothing here computes a metric.
"""
