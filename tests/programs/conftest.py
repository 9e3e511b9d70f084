import pytest

from tfselfsup.programs import (
    evaluate_agent,
    evaluate_classifier,
    train_agent,
    train_classifier,
)


@pytest.fixture(scope="module")
def one_tensorflow():
    # The threads of a process can be set once only, and are already in use in this one.
    with pytest.MonkeyPatch.context() as patch:
        for program in (train_agent, evaluate_agent, train_classifier, evaluate_classifier):
            patch.setattr(program, "start_tensorflow", lambda runtime: None)
        yield
