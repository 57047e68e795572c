"""Who is to blame when a run does not get on, from facts about its ranks alone."""

from __future__ import annotations

from msgspec.structs import replace

from core.remote.machine import Exit
from core.run.aftermath import withheld
from core.run.watch import Facts, Limits, Verdict, verdict

LIMITS = Limits()
KILLED = Exit(None, "SIGKILL")
GONE = Exit(None, None)


def _pipeline(count: int = 3, **facts: object) -> list[Facts]:
    """So many ranks that are well, in the middle of an answer."""
    usual: dict[str, object] = {
        "doing": "decode",
        "done": 35,
        "state": "waiting",
        "beats": True,
        "heard": 0.4,
    }
    return [Facts(rank=rank, device=f"mac-{rank}", **usual | facts) for rank in range(count)]


def _with(rank: int, **facts: object) -> list[Facts]:
    """The same, but for one rank."""
    ranks = _pipeline()
    ranks[rank] = replace(ranks[rank], **facts)
    return ranks


def _named(ranks: list[Facts]) -> Verdict:
    found = verdict(ranks, LIMITS)
    assert found is not None
    return found


def test_ranks_that_get_on_are_not_blamed() -> None:
    assert verdict(_pipeline(age=0.1), LIMITS) is None
    assert verdict(_pipeline(doing="idle", state="idle", age=9999.0), LIMITS) is None


def test_a_killed_rank_is_named_and_not_those_it_took_along() -> None:
    ranks = [replace(one, exit=Exit(3), lost=1, error="wire: lost rank 1", gone=0.2) for one in _pipeline()]
    ranks[1] = replace(ranks[1], exit=KILLED, error="", lost=None, gone=0.1, log=("last words",))
    found = _named(ranks)
    assert (found.fault, found.rank, found.device, found.log) == ("killed", 1, "mac-1", ("last words",))
    assert found.text.startswith("rank 1 on mac-1 was killed (SIGKILL) in decode, after 35 tokens")


def test_the_cause_is_waited_for_while_only_victims_have_ended() -> None:
    victim = {"exit": Exit(3), "lost": 1, "error": "wire: lost rank 1 (on the right): reset"}
    assert verdict(_with(0, gone=0.1, **victim), LIMITS) is None
    found = _named(_with(0, gone=1.0, **victim))
    assert (found.fault, found.link) == ("link", ("mac-0", "mac-1"))
    assert "which is alive" in found.text


def test_a_rank_that_failed_says_why() -> None:
    found = _named(_with(2, doing="load", done=3, total=8, exit=Exit(1), error="load: OSError: no space"))
    assert (found.fault, found.rank) == ("failed", 2)
    assert found.text == "rank 2 on mac-2 ended (code 1) in load, 3 of 8: load: OSError: no space"


def test_a_rank_that_says_it_cannot_do_its_part_is_told_from_one_that_failed() -> None:
    said = {"doing": "load", "exit": Exit(1), "error": "load: BadModel: 3 tensors are missing"}
    assert _named(_with(2, **said, refused=True)).fault == "refused"
    assert _named(_with(2, **said)).fault == "failed"


def test_a_line_that_is_known_is_explained_where_the_failure_is_said() -> None:
    said = ("[ring] Couldn't bind socket (error: 48)", "Traceback (most recent call last)")
    found = _named(_with(2, doing="connect", exit=Exit(1), error="connect: no ring", log=said))
    assert found.text.endswith(
        "connect: no ring — an earlier rank still holds the port; end the ranks left on that device"
    )


def test_a_stopped_rank_is_named_after_a_moment_with_those_who_wait_for_it() -> None:
    assert verdict(_with(1, stopped=0.5), LIMITS) is None, "a debugger's look"
    found = _named(_with(1, stopped=1.6, state="busy"))
    assert (found.fault, found.rank) == ("stopped", 1)
    assert "ranks 0, 2 wait for it" in found.text


def test_silence_is_no_fault_before_the_first_beat_nor_where_beats_are_impossible() -> None:
    assert _named(_with(1, heard=4.1)).fault == "silent"
    assert verdict(_with(1, heard=20.0, beats=False), LIMITS) is None
    assert verdict(_with(1, heard=20.0, doing="connect", blocked=True, since=20.0), LIMITS) is None


def test_a_lost_device_is_told_from_a_lost_network() -> None:
    lost = {"exit": GONE, "reason": "no keepalive"}
    found = _named(_with(2, **lost))
    assert (found.fault, found.device) == ("lost", "mac-2")
    assert "the connection to mac-2 was lost (no keepalive)" in found.text
    # One was given up, the others have not been heard either: it is this computer that nobody hears.
    deaf = [replace(one, heard=3.5) for one in _with(2, **lost)]
    assert _named(deaf).fault == "console"
    silent = [replace(one, heard=4.1 - one.rank / 2) for one in _pipeline()]
    assert _named(silent).fault == "console"
    with_this_one = [*deaf[:1], replace(deaf[1], here=True, heard=0.2), deaf[2]]
    assert _named(with_this_one).fault == "console"


def test_a_console_that_slept_is_told_so() -> None:
    assert _named(_with(0, exit=Exit(None, "SIGTERM"), error="lease")).fault == "console"


def test_the_one_that_computes_too_long_is_told_from_those_that_wait() -> None:
    assert verdict(_with(1, state="busy", age=LIMITS.step - 1), LIMITS) is None
    assert _named(_with(1, state="busy", age=LIMITS.step + 1)).rank == 1
    large = {"state": "busy", "gigabytes": 10.0}
    assert verdict(_with(1, age=LIMITS.step + 1, **large), LIMITS) is None, "more to compute"
    assert verdict(_with(1, age=LIMITS.step + 1, state="busy", doing="prefill"), LIMITS) is None


def test_where_all_wait_the_link_is_named_that_swallowed_something() -> None:
    ranks = [replace(one, age=age) for one, age in zip(_pipeline(), (6.0, 5.0, 6.5), strict=True)]
    found = _named(ranks)
    assert (found.fault, found.link) == ("link", ("mac-1", "mac-2"))
    assert "as do the others" in found.text
    assert verdict([replace(one, age=one.age - 2) for one in ranks], LIMITS) is None


def test_no_link_is_blamed_while_the_first_rank_reads_a_prompt_and_has_sent_nothing() -> None:
    ranks = [replace(one, doing="prefill", age=60.0) for one in _pipeline()]
    assert _named(ranks).fault == "link"
    assert verdict([replace(ranks[0], state="idle"), *ranks[1:]], LIMITS) is None


def test_in_a_tensor_group_the_link_is_named_on_which_one_was_not_told_of_a_step() -> None:
    def group(*states: tuple[str, float]) -> list[Facts]:
        given = zip(_pipeline(len(states)), states, strict=True)
        return [replace(one, stage=0, state=state, age=age) for one, (state, age) in given]

    found = _named(group(("busy", 5.0), ("waiting", 5.1), ("waiting", 5.2)))
    assert (found.fault, found.link) == ("link", ("mac-0", "mac-1"))
    found = _named(group(("busy", 5.0), ("busy", 5.0), ("waiting", 5.2)))
    assert (found.fault, found.link) == ("link", ("mac-1", "mac-2"))
    assert "from mac-1 to mac-2" in found.text
    # One that has done its part of the step waits for the next.
    assert verdict(group(("busy", 5.0), ("waiting", 4.5)), LIMITS) is None

    # In a step, which of them computes and which wait for another cannot be seen: nobody is accused alone.
    both = group(("busy", LIMITS.step + 1), ("busy", LIMITS.step + 1))
    found = _named(both)
    assert (found.fault, found.link) == ("link", ("mac-0", "mac-1"))
    assert verdict([replace(one, age=LIMITS.step - 1) for one in both], LIMITS) is None
    found = _named(group(*[("busy", LIMITS.step + 1)] * 3))
    assert (found.fault, found.link) == ("link", None)
    assert "rank 1 on mac-1, rank 2 on mac-2" in found.text


def test_between_tensor_groups_the_link_is_named_that_joins_them() -> None:
    ranks = [replace(one, stage=one.rank // 2, age=6.0 + one.rank) for one in _pipeline(4)]
    assert _named(ranks).link == ("mac-1", "mac-2")


def test_each_phase_of_the_start_has_its_time_and_waiting_for_others_costs_none() -> None:
    def starting(doing: str, since: float, **facts: object) -> list[Facts]:
        return _with(1, doing=doing, since=since, state="busy", **facts)

    for doing, limit in (("environment", 60), ("connect", 30), ("load", 60), ("warmup", 60)):
        assert verdict(starting(doing, limit - 1), LIMITS) is None
        found = _named(starting(doing, limit + 1, done=1, total=4))
        assert (found.fault, found.rank, found.doing) == ("slow", 1, doing)
        assert verdict(starting(doing, limit + 1, owes=False), LIMITS) is None
    assert verdict(starting("load", 200, gigabytes=10.0), LIMITS) is None


def test_memory_counts_as_kept_where_most_of_what_the_rank_held_is_not_back() -> None:
    gib = 2**30
    assert withheld(gib, 9 * gib, 8 * gib) == 8 * gib
    assert withheld(gib, 4 * gib, 8 * gib) == 0, "others may have taken that"
    assert withheld(gib, gib + 2**27, 2**20) == 0
