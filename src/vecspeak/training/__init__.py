"""Training: closed-form alignment of a space, and the two stages that make a reader."""
