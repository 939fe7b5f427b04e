"""Agents: what they ask of a bundle's vectors, as tools of the Model Context Protocol.

Every tool is one call of `VecSpeak`, and every result says whether it is to be trusted and why not.
"""

from vecspeak.agents.desk import Limits
from vecspeak.agents.server import make_agent_app, make_agent_server

__all__ = ["Limits", "make_agent_app", "make_agent_server"]
