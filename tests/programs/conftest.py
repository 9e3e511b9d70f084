import pytest

from tfselfsup.programs import evaluate_agent, train_agent


@pytest.fixture(scope="module")
def one_tensorflow():
    # The threads of a process can be set once only, and are already in use in this one.
    with pytest.MonkeyPatch.context() as patch:
        for program in (train_agent, evaluate_agent):
            patch.setattr(program, "start_tensorflow", lambda runtime: None)
        yield
