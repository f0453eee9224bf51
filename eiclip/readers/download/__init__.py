"""Photos that a catalogue names by URL, which is hostile input: no code outside this room opens one."""
