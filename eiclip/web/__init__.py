"""The page of interactive search (docs/search_page.md): HTTP and HTML alone; what an answer is, `search` decides."""
