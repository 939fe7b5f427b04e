"""Tasks: prompts with vector slots, the texts that answer them, and where those texts come from."""
