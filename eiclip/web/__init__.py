"""The page of interactive search: `make search`, or `python -m eiclip.web` (docs/search_page.md).

HTTP and HTML alone: what an answer is, `search` decides.
"""
