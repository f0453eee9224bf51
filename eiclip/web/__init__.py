"""The page of interactive search: `make search`, or `python -m eiclip.web`. docs/search_page.md says what it shows."""
