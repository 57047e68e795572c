"""Without hardware for RDMA: what is chosen for cables that say they are ready, and what becomes of it."""

from __future__ import annotations

from core.wiring import Cable, End
from tests.e2e.conftest import COUNT, PROMPT
from tests.e2e.rehearsed import rehearsed

A, B = (End(device=name, port="1", interface="en2", rdma="ready") for name in ("demo-a", "demo-b"))
READY = Cable(id="x", a=A, b=B, mutual=True, gbps=80.0)


async def test_a_run_that_rdma_does_not_carry_goes_on_without(tiny, alone, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("core.cabling.cables", lambda *_: (READY,))
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(2, 4), max_tokens=COUNT) as live:
        state = await live.until(lambda state: state.plan.backend == "jaccl", "a plan over RDMA")
        assert any("cables that are ready join every pair" in why for why in state.plan.why)
        answer = await live.answered(await live.asked(PROMPT))
        assert list(answer.ids) == alone("llama")
        run = live.bus.state.run
        assert (run.plan.backend, run.ready is not None) == ("sockets", True)
        told = [alert.text for alert in live.bus.state.alerts if alert.subject == f"run {run.id}"]
        assert len(told) == 1
        assert told[0].startswith("RDMA did not come up, sockets carries it instead: rank ")
        assert "Cannot initialize jaccl" in told[0]
        assert run.plan.why[0] == told[0]
        assert run.plan.forecast.decode_tps < state.plan.forecast.decode_tps
        assert (run.blamed, live.bus.state.recovery) == (None, None)
