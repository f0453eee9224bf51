"""Photos that a catalogue names by URL: fetched politely, from the public network alone, and kept.

URLs are hostile input: nothing outside this room opens one that a catalogue names.
"""
