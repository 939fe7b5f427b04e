"""The reader: prompts with vectors in them, the adapter that embeds these, the language model, and the alignment."""
