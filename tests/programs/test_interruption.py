import signal

import pytest

from tfselfsup.programs.interruption import interruption

ORDERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _own_handlers():
    before = {order: signal.getsignal(order) for order in ORDERS}
    yield
    for order, handler in before.items():
        signal.signal(order, handler)


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_to_end_is_as_ctrl_c_inside_the_block_only(order):
    def own(number, frame):
        pass

    signal.signal(order, own)
    with pytest.raises(KeyboardInterrupt), interruption():
        signal.raise_signal(order)
    assert signal.getsignal(order) is own


@pytest.mark.parametrize("order", ORDERS)
def test_a_handler_takes_its_place(order):
    heard = []
    with interruption(lambda number, frame: heard.append(number)):
        signal.raise_signal(order)
    assert heard == [order]


def test_nohup_is_obeyed_and_a_process_in_the_background_hears_ctrl_c():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heard = []
    with interruption(lambda number, frame: heard.append(number)):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGINT)
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
