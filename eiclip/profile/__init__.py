"""What a catalogue's texts are like before any training: lengths in tokens, compositions taken apart.

Facts about data; nothing here looks at a model's results.
"""
