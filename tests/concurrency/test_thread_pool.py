from __future__ import annotations

import os
import threading

import pytest

from modelyard.concurrency.thread_pool import ThreadPool


def test_calls_wait_side_by_side_and_the_first_is_made_in_this_thread() -> None:
    together, threads = threading.Barrier(4, timeout=30), {}

    def work(number: int) -> None:
        together.wait()  # for all others
        threads[number] = threading.get_ident()

    pool: ThreadPool[int] = ThreadPool(3)
    for _ in range(2):
        pool.run(work, range(4))
        assert threads.pop(0) == threading.get_ident()
        assert len(set(threads.values())) == 3


def test_threads_stay_and_are_no_more_than_allowed() -> None:
    threads: set[int] = set()
    pool: ThreadPool[int] = ThreadPool(2)
    before = threading.active_count()
    for _ in range(3):
        pool.run(lambda _: threads.add(threading.get_ident()), range(20))
    assert threading.active_count() - before == 2
    assert len(threads - {threading.get_ident()}) <= 2
    pool.run(threads.add, [0])
    assert threading.active_count() - before == 2


def test_all_calls_are_made_and_the_first_error_is_raised() -> None:
    made = []

    def work(number: int) -> None:
        made.append(number)
        if number in (1, 3):
            raise OSError(number)

    pool: ThreadPool[int] = ThreadPool(2)
    with pytest.raises(OSError, match="1"):
        pool.run(work, range(5))
    assert sorted(made) == list(range(5))
    pool.run(made.append, [5, 6])
    assert sorted(made) == list(range(7)), "an error ends no thread"


def test_who_asks_at_the_same_time_gets_its_own_answers() -> None:
    pool: ThreadPool[int] = ThreadPool(2)
    failed = []

    def divide(item: int) -> None:
        _ = 1 // (item % 7)

    def ask(number: int) -> None:
        try:
            pool.run(divide, range(number * 10 + 1, number * 10 + 4))
        except ZeroDivisionError:
            failed.append(number)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert sorted(failed) == [n for n in range(20) if any(i % 7 == 0 for i in range(n * 10 + 1, n * 10 + 4))]


def test_a_forked_process_starts_its_own_threads() -> None:
    pool: ThreadPool[int] = ThreadPool(2)
    pool.run(lambda _: None, range(3))
    child = os.fork()
    if child == 0:
        done: list[int] = []
        pool.run(done.append, range(3))
        os._exit(0 if sorted(done) == [0, 1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
