import subprocess
import sys
import threading
import time

import pytest

from engine.errors import RunError
from engine.models.accelerator import Accelerator

HOLD_FOREVER = """
import sys, time
from pathlib import Path
from engine.models.accelerator import Accelerator
with Accelerator(Path(sys.argv[1])).hold("run shop-1"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_FOREVER, str(tmp_path / "accelerator.lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_free_accelerator_has_no_holder(accelerator):
    assert accelerator.holder() is None


def test_the_holder_is_named_while_it_holds_and_blank_afterwards(accelerator):
    with accelerator.hold("run a"):
        assert accelerator.holder() == "run a"
    assert accelerator.holder() is None


def test_an_error_in_the_block_frees_it(accelerator):
    with pytest.raises(KeyError), accelerator.hold("run a"):
        raise KeyError
    with accelerator.hold("run b", wait=False):
        assert accelerator.holder() == "run b"


def test_two_objects_for_one_file_exclude_each_other_in_one_process(accelerator, tmp_path):
    second = Accelerator(tmp_path / "accelerator.lock")
    with accelerator.hold("run a"), pytest.raises(RunError, match="run a"), second.hold("run b", wait=False):
        pass
    assert accelerator.holder() is None


def test_threads_take_turns(accelerator):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        with accelerator.hold("a thread"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_it_may_be_let_go_in_another_thread(accelerator):
    held = accelerator.hold("a generator")
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with accelerator.hold("the next", wait=False):
        assert accelerator.holder() == "the next"


def test_another_process_is_seen_by_name_and_refused(accelerator, other_process):
    assert accelerator.holder() == "run shop-1"
    with pytest.raises(RunError, match=r"busy.*run shop-1"), accelerator.hold("me", wait=False):
        pass


def test_kill_9_frees_it(accelerator, other_process):
    other_process.kill()
    other_process.wait()
    assert accelerator.holder() is None
    with accelerator.hold("me", wait=False):
        assert accelerator.holder() == "me"


def test_waiting_ends_when_it_is_cancelled(accelerator, other_process):
    started = time.monotonic()
    with (
        pytest.raises(RunError, match="cancelled"),
        accelerator.hold("me", cancelled=lambda: time.monotonic() - started > 0.3),
    ):
        pass
    assert 0.3 <= time.monotonic() - started < 2


def test_patience_ends_in_a_sentence_that_names_the_holder(accelerator, other_process):
    with pytest.raises(RunError, match="run shop-1"), accelerator.hold("me", patience_seconds=0.3):
        pass


def test_waiting_gets_its_turn_when_the_holder_dies(accelerator, other_process):
    threading.Timer(0.3, other_process.kill).start()
    with accelerator.hold("me", patience_seconds=10):
        assert accelerator.holder() == "me"
