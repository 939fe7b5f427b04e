"""Writers: language models that never saw a vector and write an answer from what was read of it."""

from vecspeak.writers.base import Recorder, Writer
from vecspeak.writers.opening import open_writer

__all__ = ["Recorder", "Writer", "open_writer"]
