"""Privacy: what ratings cannot tell is neither asked nor said of a person, and taste is."""

import pytest

from vecspeak.errors import UserError
from vecspeak.tasks.privacy import asked_for, attributes, check_about_person, flagged
from vecspeak.tasks.sets import SHIPPED, load_task_set

ASKED = {
    "How old is {x}?": "age",
    "What is the age of {x}?": "age",
    "Describe {x}, a young viewer.": "age",
    "Is the user {x} male or female?": "sex",
    "Is {x} a man or a woman?": "sex",
    "Guess the gender of the viewer {x}.": "sex",
    "Where does {x} live?": "origin",
    "Which country is {x} from?": "origin",
    "What is the religion of {x}?": "religion",
    "Is {x} gay?": "orientation",
    "Is {x} depressed?": "health",
    "Would the viewer {x} vote republican?": "politics",
    "Is the viewer {x} rich?": "money",
    "What does {x} do for a living?": "money",
    "Is {x} probably married?": "family",
    "Who is {x}?": "identity",
}
TASTE = [
    "Describe the taste of the viewer {x}.",
    "Describe {x}.",
    "Which old movies would {x} like?",
    "How old are the movies that {x} likes?",
    "Name three movies that {x} would like.",
    "Which country's movies does {x} like?",
    "Does {x} like black and white movies?",
    "Does {x} prefer single player games?",
    "Which political thrillers would {x} enjoy?",
    "Would {x} like stories about young women?",
]
STATED = {
    "A young viewer that likes horror.": "age",
    "The user is 25 years old.": "age",
    "This person is in his thirties.": "age",
    "Likes thrillers. He prefers old movies.": "sex",
    "She is a fan.": "sex",
    "The viewer is a woman.": "sex",
    "This viewer is probably a man.": "sex",
    "The viewer is American.": "origin",
    "The viewer lives in Paris.": "origin",
    "The viewer is married.": "family",
}
TOLD = [
    "Likes old black and white movies about young men.",
    "This viewer likes American comedies.",
    "A viewer who likes French movies.",
    "Viewers that like women's stories.",
    "Likes drama. They prefer the 1990s.",
    "They are American comedies.",
    "The viewer likes movies in which he is saved.",
]


@pytest.mark.parametrize(("question", "name"), ASKED.items())
def test_a_question_for_what_ratings_do_not_tell_is_refused(question, name):
    assert name in asked_for(question)
    with pytest.raises(UserError, match=f"asks for .*{name}.*guess about a person"):
        check_about_person(question)


@pytest.mark.parametrize("question", TASTE)
def test_a_question_about_taste_is_not_refused(question):
    check_about_person(question)


@pytest.mark.parametrize(("answer", "name"), STATED.items())
def test_an_answer_that_states_it_is_marked(answer, name):
    assert name in flagged(answer)


@pytest.mark.parametrize("answer", TOLD)
def test_an_answer_about_taste_is_not_marked(answer):
    assert flagged(answer) == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_no_task_about_people_asks_for_it(name):
    for task in load_task_set(name).tasks.values():
        if task.about == "person":
            assert [asked_for(wording) for wording in (*task.prompts, *task.held_out)] == [()] * (
                len(task.prompts) + len(task.held_out)
            )


def test_age_sex_and_origin_are_in_the_list():
    assert {"age", "sex", "origin"} <= {one.name for one in attributes()}
