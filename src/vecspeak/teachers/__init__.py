"""Teachers write targets for examples; filters check them, and runs gather them in a folder."""
