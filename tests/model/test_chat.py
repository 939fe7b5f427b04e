"""Chat formats: what a tokenizer of any model says stands around a question, and what ends an answer."""

import pytest

from tiny_models import tiny_tokenizer
from vecspeak.errors import UserError
from vecspeak.model.chat import chat_format, chat_format_of, stop_ids
from vecspeak.model.prompt import CHATML, PLAIN

LLAMA = (
    "<|begin|>{% for m in messages %}<|start|>{{ m.role }}<|end|>\n\n{{ m.content }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|end|>\n\n{% endif %}"
)
GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<bos>{% for m in messages %}<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}<eot>\n"
    "{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
SYSTEM = (
    "{% if messages[0].role != 'system' %}[SYS]You are helpful.[/SYS]{% endif %}"
    "{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}</s>"
    "{% endif %}{% endfor %}"
)
THINKING = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% if not enable_thinking %}<think></think>{% endif %}{% endif %}"
)
FAILING = "{{ raise_exception('only tools are answered') }}"


def with_template(template, *, marks=False, **tokens):
    """A tokenizer with a chat template, without the marks of ChatML unless they are asked for."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    tokenizer.add_special_tokens(tokens)
    if not marks:
        vocabulary = {key: at for key, at in tokenizer.get_vocab().items() if not key.startswith("<|im_")}
        tokenizer.get_vocab = lambda: vocabulary
    return tokenizer


@pytest.mark.parametrize(
    ("template", "before", "after", "stop"),
    [
        (LLAMA, "<|begin|><|start|>user<|end|>\n\n", "<|eot|><|start|>assistant<|end|>\n\n", "<|eot|>"),
        (GEMMA, "<bos><turn>user\n", "<eot>\n<turn>model\n", "<eot>"),
        (SYSTEM, "[SYS]You are helpful.[/SYS][INST]", "[/INST]", "</s>"),
        (THINKING, "<user>", "</user><assistant><think></think>", "</assistant>"),
    ],
)
def test_a_template_says_what_stands_around_a_question(template, before, after, stop):
    for found in (chat_format(with_template(template)), chat_format_of(with_template(template))):
        assert (found.before, found.after, found.stop) == (before, after, stop)


def test_a_reader_takes_chatml_without_the_templates_system_message_and_a_writer_takes_the_template():
    tokenizer = with_template(SYSTEM, marks=True)
    assert chat_format(tokenizer) is CHATML
    assert chat_format_of(tokenizer).before == "[SYS]You are helpful.[/SYS][INST]"


def test_a_base_model_without_a_template_gets_question_and_answer():
    assert chat_format(with_template(None)) == PLAIN


def test_a_base_model_that_begins_each_text_with_a_token_gets_it():
    from tokenizers.processors import TemplateProcessing

    tokenizer = with_template(None, bos_token="<s>")
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    found = chat_format(tokenizer)
    assert found.before == "<s>Question: "
    ids = tokenizer.encode(found.before, add_special_tokens=False)
    assert ids[0] == tokenizer.bos_token_id


def test_a_template_that_fails_says_so():
    with pytest.raises(UserError, match="chat template of this model fails: only tools are answered"):
        chat_format(with_template(FAILING))


def test_an_answer_ends_at_the_end_of_the_turn_or_of_the_text():
    tokenizer = tiny_tokenizer()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    newline = tokenizer.encode("\n", add_special_tokens=False)
    assert stop_ids(tokenizer, "<|im_end|>") == [end]
    assert stop_ids(tokenizer, "\n") == sorted([end, *newline])
    assert stop_ids(tokenizer, "[/END]") == [end]  # several tokens: the first of them ends nothing
    assert stop_ids(tokenizer, "<|im_start|>\n") == sorted(
        [end, tokenizer.convert_tokens_to_ids("<|im_start|>")]
    )
    tokenizer.eos_token = None
    assert stop_ids(tokenizer, "[/END]") == []


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            "{% for m in messages %}{{ m.content }} I repeat: {{ m.content }}{% endfor %}",
            "repeats the question",
        ),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
            "drops the answer",
        ),
        ("{{ 1 / 0 }}", "fails"),
    ],
)
def test_a_template_that_cannot_be_taken_apart_says_why(template, said):
    with pytest.raises(UserError, match=said):
        chat_format(with_template(template))
