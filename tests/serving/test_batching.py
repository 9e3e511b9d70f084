import asyncio
import threading
import types

import pytest

from tfselfsup.serving import batching
from tfselfsup.serving.batching import Batcher


def squares(calls, gate=None):
    """Answers with squares and notes what each call was asked; waits for the gate, if any."""

    def answer(examples):
        calls.append(list(examples))
        if gate is not None:
            gate.wait(5)
        if "bad" in examples:
            raise ValueError("no square")
        return [example**2 for example in examples]

    return answer


def test_everybody_gets_the_own_answer():
    calls = []

    async def ask():
        batcher = Batcher(squares(calls), most=4, wait=0.0)
        return await asyncio.gather(*map(batcher, range(11)))

    assert asyncio.run(ask()) == [number**2 for number in range(11)]
    assert [len(call) for call in calls] == [4, 4, 3]
    assert sum(calls, []) == list(range(11))  # first come, first served


def test_what_comes_during_a_call_is_answered_together():
    calls, gate = [], threading.Event()

    async def ask():
        batcher = Batcher(squares(calls, gate), most=32, wait=0.0)
        first = asyncio.create_task(batcher(0))
        while not calls:
            await asyncio.sleep(0.001)
        # One by one, far apart for a server, but all while the first is being answered.
        others = []
        for number in (1, 2, 3):
            others.append(asyncio.create_task(batcher(number)))
            await asyncio.sleep(0.005)
        gate.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(ask()) == [0, 1, 4, 9]
    assert calls == [[0], [1, 2, 3]]


def test_a_call_that_fails_fails_its_own_examples_only():
    calls = []

    async def ask():
        batcher = Batcher(squares(calls), most=2, wait=0.0)
        return await asyncio.gather(*map(batcher, (1, "bad", 2, 3)), return_exceptions=True)

    first, second, *others = asyncio.run(ask())
    assert isinstance(first, ValueError) and isinstance(second, ValueError)
    assert others == [4, 9]


def test_a_client_that_has_gone_disturbs_nobody():
    calls, gate = [], threading.Event()

    async def ask():
        batcher = Batcher(squares(calls, gate), most=4, wait=0.0)
        gone, stays = asyncio.create_task(batcher(1)), asyncio.create_task(batcher(2))
        while not calls:
            await asyncio.sleep(0.001)
        gone.cancel()
        gate.set()
        answer = await stays
        with pytest.raises(asyncio.CancelledError):
            await gone
        return answer, await batcher(3)

    assert asyncio.run(ask()) == (4, 9)


def test_it_waits_for_others_before_a_first_call(monkeypatch):
    calls, waited = [], []

    async def ask():
        over = asyncio.Event()

        async def wait(seconds):
            waited.append(seconds)
            await over.wait()

        waiting = types.SimpleNamespace(**vars(asyncio) | {"sleep": wait})
        monkeypatch.setattr(batching, "asyncio", waiting)
        batcher = Batcher(squares(calls), most=4, wait=0.2)
        first = asyncio.create_task(batcher(1))
        while not waited:
            await asyncio.sleep(0)
        second = asyncio.create_task(batcher(2))
        await asyncio.sleep(0)
        assert calls == []
        over.set()
        return await asyncio.gather(first, second)

    assert asyncio.run(ask()) == [1, 4]
    assert waited == [0.2]
    assert calls == [[1, 2]]
