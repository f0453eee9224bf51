"""The report: one HTML page about a home's experiments; its plots and tables serve Dagster and the terminal too."""
