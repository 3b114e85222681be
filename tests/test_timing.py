import time

from lavida.timing import StageClock


def test_a_stage_within_another_is_counted_once():
    clock = StageClock()
    with clock.stage("model"):
        for _ in clock.iterate("waiting", (time.sleep(0.02) for _ in range(3))):
            time.sleep(0.01)
        with clock.stage("model"):
            time.sleep(0.01)
    spent, passed = clock.milliseconds(), 1000 * clock.elapsed()
    assert spent["waiting"] >= 60 and spent["model"] >= 40 and sum(spent.values()) <= passed + 1
