"""Embedders: make spaces from texts (semantic) and from ratings (behavioral).

Know how vectors come to be; know nothing of language models that read them.
"""
