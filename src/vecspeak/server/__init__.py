"""The server: questions about vectors over HTTP, as OpenAI's clients ask, and what a space holds.

Every route is one call of `VecSpeak`. Nothing of a request is written anywhere.
"""

from vecspeak.server.app import make_app
from vecspeak.server.running import RunningServer
from vecspeak.server.settings import Settings

__all__ = ["RunningServer", "Settings", "make_app"]
