"""The report: one HTML page about a home's experiments; its plots and tables serve Dagster and the terminal too."""

from eiclip.report.tables import leaderboard_markdown
from eiclip.report.write import write_report

__all__ = ["leaderboard_markdown", "write_report"]
