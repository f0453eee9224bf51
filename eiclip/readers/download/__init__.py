"""Photos that a catalogue names by URL, hostile input. Nothing outside this room opens such a URL."""
