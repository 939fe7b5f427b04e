"""Lessons without a space, a teacher that says what it is told to, and replies of a server with their tokens."""

from local_rater import truths
from vecspeak.tasks.examples import TargetsOrigin, TaskExample
from vecspeak.tasks.task_set import Task
from vecspeak.teachers.base import Generation, Teacher
from vecspeak.teachers.filters import repeats_itself

ABOUT = TargetsOrigin(space="things", space_digest="d", task_set="movies", words={}, split="train", seed=0)


def task(name="pitch", **more):
    values = {
        "about": "item",
        "prompts": ("Pitch {x}.",),
        "teacher": "Pitch this movie in two or three sentences, as its director would.",
        "words": (5, 60),
        "facts": (),
    }
    return Task(name=name, **{**values, **more})


def lesson(text="A shark hunts swimmers off a quiet island.", number=0, of=None, **more):
    of = of or task()
    values = {
        "slots": {"x": f"t{number}"},
        "split": "train",
        "context": f"Plot: {text}\n\n{of.teacher}",
        "facts": {},
        "texts": (text,),
        "names": ("Jaws (1975)",),
    }
    return TaskExample(task=of, **{**values, **more})


def lessons(count, of=None):
    """Lessons that tell different things."""
    return [lesson(f"Story number {i} of many.", i, of) for i in range(count)]


ANSWERS = [text for text in truths(300) if not repeats_itself(text)][:200]


def answer_to(prompt):
    """A good target, another for each of the first 200 stories."""
    return ANSWERS[int(prompt.split("Story number ")[1].split()[0])]


class Scripted(Teacher):
    """Answers by a function of the lesson; counts what it was asked."""

    def __init__(self, says=lambda one: answer_to(one.context), name="scripted", settings=""):
        self.says, self.name, self.settings = says, name, settings
        self.asked = []

    def settings_for(self, lesson):
        return self.settings

    def write(self, lessons):
        for number, one in reversed(list(enumerate(lessons))):  # in another order than they were given
            self.asked.append(one.context)
            said = self.says(one)
            if isinstance(said, BaseException):
                raise said
            yield (
                number,
                said if isinstance(said, Generation) else Generation(text=said, tokens_in=10, tokens_out=5),
            )


def completion(text, tokens=(10, 5), end="stop"):
    """What a server sends that counts tokens."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": end}
    return 200, {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "rater",
        "choices": [choice],
        "usage": usage,
    }


class FakeTime:
    """A clock that waits by turning its hands."""

    def __init__(self):
        self.time, self.waits = 0.0, []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.time += seconds
