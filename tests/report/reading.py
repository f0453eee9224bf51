"""Reads what templates write: the cells of their Markdown tables, and sentences without Markdown's escapes."""

import html
import re

from eiclip.report.source import markdown


def said(connection, dataset, macro, *arguments):
    """The text of a macro, on one line; empty where there is nothing to say."""
    return _plain(" ".join(markdown(connection, dataset, macro, *arguments).split()))


def cells(connection, dataset, macro, *arguments):
    """The rows of a macro's table, the head first; none where there is no table."""
    lines = [line for line in markdown(connection, dataset, macro, *arguments).splitlines() if line.startswith("|")]
    found = [[_plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert all(len(row) == len(found[0]) for row in found)
    return found[:1] + found[2:]


def _plain(text):
    return html.unescape(re.sub(r"\\([\W_])", r"\1", text))
