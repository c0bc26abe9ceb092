"""The cluster that other tests here use."""

import os


def test_two_processes_that_are_not_this_one(cluster):
    pids = set(cluster.run(os.getpid).values())
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_workers_have_the_package(cluster):
    def file():
        import sm_alsgls

        return sm_alsgls.__file__

    import sm_alsgls

    assert set(cluster.run(file).values()) == {sm_alsgls.__file__}
