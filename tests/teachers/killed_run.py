"""A run in a process of its own, to be killed: python killed_run.py URL FOLDER COUNT."""

import sys
from pathlib import Path

from lesson_kit import ABOUT, lessons
from vecspeak.llm_client import Endpoint
from vecspeak.teachers.generate import generate_targets
from vecspeak.teachers.remote import RemoteTeacher

url, folder, count = sys.argv[1:]
generate_targets(lessons(int(count)), RemoteTeacher(Endpoint(url=url, model="m")), Path(folder), ABOUT)
