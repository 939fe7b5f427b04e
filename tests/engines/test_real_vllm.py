"""A stock vLLM on loopback serves the shipped reader: `make test-vllm` names a Python with it (VECSPEAK_VLLM)."""

import contextlib
import itertools
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from vecspeak import Space, VecSpeak
from vecspeak.bundles.weights import load_reader
from vecspeak.engines import Sampling
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.engines.vllm_model import FLAGS
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate

PYTHON = os.environ.get("VECSPEAK_VLLM", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PYTHON, reason="make test-vllm names a Python with vLLM"),
]
WHO = ("A tired sheriff", "A lonely ghost", "Two old friends", "A young chef", "A shark hunter")
DEEDS = ("robs a bank", "finds a hidden door", "falls in love", "opens a restaurant", "must leave the island")
PLACES = ("in a desert town", "in Paris at night")
PLOTS = [" ".join(parts) + "." for parts in itertools.product(WHO, DEEDS, PLACES)]
GREEDY = Sampling(max_new_tokens=48)


@contextlib.contextmanager
def serving(command, log, without=()):
    """The server that a command starts, as its address; some of its flags left out."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    flags = [flag for flag in shlex.split(command)[2:] if flag not in without]
    flags[flags.index("--port") + 1] = str(port)
    # The package of the CPU build has no `vllm` of that name; its server is the same module.
    program = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", *flags]
    environment = {
        **os.environ, "VLLM_CPU_KVCACHE_SPACE": "2", "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    with log.open("w") as file:
        process = subprocess.Popen(
            [*program, "--max-model-len", "2048", "--enforce-eager"],
            env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, cwd=log.parent,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            time.sleep(1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return VecSpeak.from_pretrained().export_vllm(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def vs(exported, tmp_path_factory):
    with serving(exported.command, tmp_path_factory.mktemp("served") / "log.txt") as address:
        yield VecSpeak.from_pretrained(engine=f"vllm:{address}")


@pytest.fixture(scope="module")
def reference():
    return TransformersEngine(load_reader(VecSpeak.from_pretrained().bundle))


def questions(encoder):
    """Fifty prompts about the vectors of fifty plots."""
    asked = ("Describe {x}.", "What is {x} about, in one sentence?")
    vectors = enumerate(encoder.encode(PLOTS))
    return [PromptTemplate(asked[number % 2]).fill({"x": vector}) for number, vector in vectors]


@pytest.fixture(scope="module")
def prompts(vs):
    return questions(vs.encoder)


@pytest.mark.parametrize(
    "sampling",
    [GREEDY, GREEDY.penalized, Sampling(max_new_tokens=96, no_repeat_ngram_size=3)],
    ids=["greedy", "penalized", "no trigram twice"],
)
def test_fifty_answers_are_those_of_transformers(vs, reference, prompts, sampling):
    assert len(prompts) == 50
    expected, found = reference.generate(prompts, sampling), vs.engine.generate(prompts, sampling)
    same = sum(one == other for one, other in zip(expected, found, strict=True))
    assert same == 50, [pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1]][:3]


def test_an_answer_after_another_one_is_what_it_is_cold(vs, prompts):
    cold = [vs.engine.generate([prompt], GREEDY.penalized)[0] for prompt in prompts[:3]]
    after = [vs.engine.generate([prompt], GREEDY.penalized)[0] for prompt in prompts[2::-1]]
    assert after == cold[::-1] and len(set(cold)) == 3


def test_streamed_answers_are_the_answers(vs, prompts):
    for sampling in (GREEDY.penalized, Sampling(max_new_tokens=48, temperature=0.8, seed=5)):
        pieces = list(vs.engine.stream(prompts[7], sampling))
        assert len(pieces) > 5 and "".join(pieces).strip() == vs.engine.generate([prompts[7]], sampling)[0]


def test_draws_repeat_and_differ_by_their_seed(vs, prompts):
    drawn = [vs.engine.generate(prompts[:8], Sampling(temperature=0.8, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_question_is_answered_with_its_evidence(vs):
    space = Space.from_arrays(vs.encoder.encode(PLOTS), labels=PLOTS, texts=PLOTS, name="films")
    answer = vs.fit(space, holdout=0.2).ask("Describe {x}.", x=PLOTS[0], effort="quick")
    assert answer.text and answer.evidence[0].round_trip > 0.2


def test_a_server_without_embeddings_is_refused(exported, tmp_path):
    with (
        serving(exported.command, tmp_path / "log.txt", without=FLAGS) as address,
        pytest.raises(UserError, match=" ".join(FLAGS)),
    ):
        _ = VecSpeak.from_pretrained(engine=f"vllm:{address}").engine
