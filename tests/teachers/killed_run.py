"""A run in a process of its own, to be killed: python killed_run.py URL FOLDER COUNT."""

import sys
from pathlib import Path

from lesson_kit import ABOUT, lessons
from vecspeak.llm_client import Address
from vecspeak.teachers.backends import RemoteTeacher
from vecspeak.teachers.generate import teach

url, folder, count = sys.argv[1:]
teach(lessons(int(count)), RemoteTeacher(Address(url=url, model="m")), Path(folder), ABOUT)
