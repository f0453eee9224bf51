"""The proof that the cache is never stale: functions are changed, and what the cache would do is compared with what
really happens to the outputs' bytes.
"""
