import signal

import pytest

from tfselfsup.programs.interruption import exit_status, interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _own_handlers():
    # Tests that are run with nohup, or in the background of a script, ignore some of them.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_every_order_to_end_is_as_ctrl_c_inside_the_block_only(number):
    def own(number, frame):
        pass

    signal.signal(number, own)
    with pytest.raises(KeyboardInterrupt), interruption() as orders:
        signal.raise_signal(number)
    assert signal.getsignal(number) is own
    assert orders == [number]


@pytest.mark.parametrize("number", SIGNALS)
def test_an_order_may_only_be_noted(number):
    with interruption(at_once=False) as orders:
        signal.raise_signal(number)
    assert orders == [number]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("at_once", [True, False])
def test_an_order_that_comes_twice_is_one(number, at_once):
    # So that what is being saved then is not lost.
    with interruption(at_once) as orders:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            assert at_once
        signal.raise_signal(number)
    assert orders == [number, number]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_second_ctrl_c_ends_what_takes_too_long(at_once):
    with interruption(at_once):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            assert at_once
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_scheduler_s_order_that_a_parent_passes_on_is_one():
    with interruption(at_once=False) as orders:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert exit_status(orders) == 143


def test_nohup_is_obeyed_and_a_process_in_the_background_hears_ctrl_c():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruption(at_once=False) as orders:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGINT)
    assert orders == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_exit_status_is_that_of_a_shell():
    assert exit_status([signal.SIGINT]) == 130
    assert exit_status([signal.SIGHUP]) == 129
    assert exit_status([]) == 130
