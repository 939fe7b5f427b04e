"""vecspeak: ask any embedding vector a question in plain language.

Importing this package loads neither torch nor a language model.
"""

__version__ = "0.1.0"
