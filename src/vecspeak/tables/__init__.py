"""Tables and arrays from whatever people keep them in, as they are written, and what had to be left out."""
