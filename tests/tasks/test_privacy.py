"""Privacy: what ratings cannot tell is neither asked nor said of a person, and taste is."""

import pytest

from vecspeak.errors import UserError
from vecspeak.tasks.names import SHIPPED
from vecspeak.tasks.privacy import asked_for, attributes, check_about_person, flagged, shown_to_say
from vecspeak.tasks.task_set import load_task_set

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
    "Male or female? {x}": "sex",
    "Young or old? {x}": "age",
    "{x}: man or woman?": "sex",
    "Is this a man or a woman? {x}": "sex",
    "How old is this? {x}": "age",
    "Is {x} a tall man?": "sex",
    "Are they men or women?": "sex",
    "Is {x} a female movie fan?": "sex",
    "Is {x} a college student?": "money",
    "Does {x} have a boyfriend?": "family",
    "What can you say about {x}'s age?": "age",
    "What about the age of {x}?": "age",
    "Which movies does {x} like, and what about the age?": "age",
    "Tell me about age and sex of {x}.": "sex",
    "What Is The Gender Of {x}?": "sex",
    "Guess Age and Sex of {x}.": "age",
    "Which country does {x} come from?": "origin",
    "What is {x}'s race?": "origin",
    "Is {x} American and a horror fan?": "origin",
    "Describe {x}, a woman.": "sex",
    "How rich is {x}?": "money",
    "Is {x} likely to be a parent?": "family",
    "Are {x} and {y} both women?": "sex",
    "Is {x} probably over 40?": "age",
    "Does {x} like men or women?": "orientation",
    "Is {x} interested in men or women?": "orientation",
    "State Age in Years for {x}.": "age",
    "Given the movies that {x} likes, what would you say about the age?": "age",
    "What do the movies that {x} likes say about age?": "age",
    "Going by the movies of {x}, with which gender do they go?": "sex",
    "I would like the age and the town of {x}.": "age",
    "Is {x} more likely to vote left or right?": "politics",
    "Would {x} ever vote for the left?": "politics",
    "Does {x} lean left?": "politics",
    "Does {x} wear men's or women's sizes?": "sex",
    "Does {x} need women's sizes?": "sex",
    "Would the viewer {x} buy ladies' shoes?": "sex",
    "Men's or women's? {x}": "sex",
    "Ist {x} eine Frau?": "sex",
    "Ist {x} wohl ein Mann oder eine Frau?": "sex",
    "Est-ce que {x} est une femme ?": "sex",
    "¿Es {x} una mujer?": "sex",
    "{x} è una donna?": "sex",
    "Wie alt ist {x}?": "age",
    "Woher kommt {x}?": "origin",
    "How much does {x} weigh?": "body",
    "What is the weight of {x}?": "body",
    "What is {x}'s height?": "body",
    "Does {x} have a beard?": "body",
    "Does the viewer {x} have a long beard?": "body",
    "Is {x} overweight?": "body",
    "How tall is {x}?": "body",
    "Which shoe size does {x} have?": "body",
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
    "Does {x} like coming-of-age movies?",
    "Does {x} like coming of age movies?",
    "Does {x} like films about race cars?",
    "Would {x} watch films about mental health?",
    "Does {x} like The Bourne Identity?",
    "What would {x} say about The Bourne Identity?",
    "Does {x} like Sex and the City?",
    "Does {x} like Ice Age?",
    "Would {x} enjoy sex comedies?",
    "Is {x} a French film fan?",
    "Is {x} a black comedy fan?",
    "Is {x} a black and white film fan?",
    "Is {x} a political thriller fan?",
    "Does {x} prefer American or French?",
    "Which country does {x} prefer movies from?",
    "Which movies about race does {x} like?",
    "What would {x} say about the movie Race?",
    "Which age of cinema does {x} like?",
    "Is {x} interested in race, gender and class on screen?",
    "Does {x} prefer movies that are French or Italian?",
    "Is this an old movie that {x} would like?",
    "Would {x} like it if the hero is a woman?",
    "Is {x} a fan of political satire?",
    "Would {x} enjoy a heavyweight boxing movie?",
    "Does {x} like movies about weight loss?",
    "Does {x} prefer heavy movies?",
    "How heavy are the movies that {x} likes?",
    "Does {x} prefer lightweight jackets?",
    "Would {x} like a film about a vote?",
    "Does {x} like movies that lean on dialogue?",
    "Would {x} like stories about men or women at sea?",
    "Does {x} like men's or women's stories?",
    "Would {x} like a tall tale?",
    "Does {x} like Une femme est une femme?",
    "Does {x} like the beard in that movie?",
    "Does {x} prefer tall boots?",
    "What does {x} like, and what not?",
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
    "A young woman who likes romances.": "age",
    "A woman who likes romances.": "sex",
    "Men who like action.": "sex",
    "Old people who enjoy westerns.": "age",
    "A person who is young.": "age",
    "A person who is gay.": "orientation",
    "A person who is married.": "family",
    "The viewer is a person who is old.": "age",
    "The viewer, a woman, likes drama.": "sex",
    "The viewer, probably a young woman, likes drama.": "age",
    "The viewer is a college student.": "money",
    "The viewer is a single mother.": "family",
    "Likes drama. A married man who prefers comedies.": "family",
    "A single viewer that likes drama.": "family",
    "The user has a girlfriend.": "family",
    "The viewer seems to be a woman.": "sex",
    "The viewer may be a student.": "money",
    "Probably a man.": "sex",
    "Likely a young adult.": "age",
    "A mother of two who likes drama.": "sex",
    "A viewer who's young.": "age",
    "A viewer that is married and likes drama.": "family",
    "A viewer of French origin.": "origin",
    "The user is in their 20s.": "age",
    "This viewer is likely to vote for the left.": "politics",
    "The customer leans right.": "politics",
    "The customer has a long beard.": "body",
    "This viewer is overweight.": "body",
    "The customer weighs 80 kilograms.": "body",
}
TOLD = [
    "Likes old black and white movies about young men.",
    "This viewer likes American comedies.",
    "A viewer who likes French movies.",
    "Viewers that like women's stories.",
    "Likes drama. They prefer the 1990s.",
    "They are American comedies.",
    "The viewer likes movies in which he is saved.",
    "It pleases every single viewer.",
    "They are black comedies of a kind.",
    "A French film fan who likes wit.",
    "A fan of black comedies who likes wit.",
    "A viewer who is interested in American movies.",
    "Likes a story of a person who is poor.",
    "Likes movies about someone who is married.",
    "Likes movies about a young woman who loves a sailor.",
    "A young woman falls in love with a sailor.",
    "In the film, a young woman who likes romances meets a man.",
    "Someone who cares for woman, married and child.",
    "The viewer enjoys stories of men; women who like to fight are welcome.",
    "A poor script that likes to wander.",
    "A single plot that watches well.",
    "A viewer that likes young adult movies.",
    "An adult drama fan who enjoys wit.",
    "A foreign film lover who prefers subtitles.",
    "The viewer is likely to enjoy British humour.",
    "The viewer is old-fashioned.",
    "Likes heavyweight boxing movies and tall tales.",
    "The viewer likes films about a man with a beard.",
    "A customer that likes lightweight jackets.",
    "The viewer likes movies that lean on dialogue.",
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


def test_the_refusal_speaks_of_no_domain():
    with pytest.raises(UserError) as refused:
        check_about_person("Is {x} a woman?")
    assert "movie" not in str(refused.value) and "VecSpeak.tastes(x)" in str(refused.value)


def test_an_instruction_may_forbid_what_it_may_not_ask():
    assert shown_to_say("Describe them. Say nothing of age, sex or origin. Be short.") == ()
    assert shown_to_say("Describe them. Never guess the age.") == ()
    assert shown_to_say("Say nothing of origin. State the age of the viewer.") == ("age",)
    assert shown_to_say("Say nothing of taste but give the age.") == ("age",)


def test_age_sex_and_origin_are_in_the_list():
    assert {"age", "sex", "origin"} <= {one.name for one in attributes()}
