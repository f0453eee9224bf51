"""What a user can set, read and checked by pydantic: an entry a dataset, the training recipe, same-style retrieval.

Values alone: nothing here opens a file of a dataset or knows what is done with a setting.
"""
