"""Same-style retrieval: which products a click log shows to be of one style."""
