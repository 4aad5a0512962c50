"""What an agent answers, on this machine."""

from dataclasses import asdict

from bench.core.work import PREPARED
from bench.executor import Job
from bench.executor.cluster.agent import Agent, Setting
from bench.records.record import OK


def test_agent_says_once_what_preparing_its_machine_found(monkeypatch, tmp_path):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    agent = Agent(Setting({}, prepare=Job("prepare", "executor_works:prepare", {"log": str(tmp_path / "log")})))
    answers = [agent.run(asdict(Job(key, "executor_works:give", {"number": 1}))) for key in "ab"]
    agent.stop()
    assert [answer["outcome"]["status"] for answer in answers] == [OK, OK]
    assert [answer["said"] for answer in answers] == [[("prepare", {PREPARED: {"variables": {"PREPARED": "1"}}})], []]
