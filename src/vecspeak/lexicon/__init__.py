"""The lexicon: what words a vector holds, read in closed form."""
