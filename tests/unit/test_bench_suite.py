from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core.bench.contenders import Contenders
from core.bench.suite import KEPT, Point, Suite, SuiteError, decode, load, shipped
from core.plan.plan import Host
from core.plan.propose import propose, split
from core.shelf import Shelf
from core.worker import slots
from tests.unit.benches import SPEC

GIB = 2**30


def test_the_shipped_suites_are_whole() -> None:
    assert set(shipped()) == {"quick", "standard", "sweep", "depth"}
    for name in shipped():
        suite = load(name)
        assert suite.name == name and suite.about
        assert suite.repeats.precision == 0.02
    assert len(load("depth").points) == 4
    assert load("standard").launches == 3


def test_points_are_every_combination() -> None:
    suite = Suite(name="s", prompt=(8, 16), depth=(0, 64), generate=(4,), concurrency=(1, 2))
    assert len(suite.points) == 8
    assert suite.points[0] == Point(8, 0, 4, 1)
    assert suite.points[-1].label == "pp16 tg4 @ d64 ×2"
    assert (suite.longest, suite.room) == (84, 512)


def test_the_hash_is_of_what_is_measured() -> None:
    one = Suite(name="a", about="x", prompt=(8,))
    assert one.sha256 == Suite(name="b", about="y", prompt=(8,)).sha256
    assert one.sha256 != Suite(name="a", about="x", prompt=(9,)).sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt = [8]", "missing required field `name`"),
        ('name = "s"\nprompt = [0]', "Expected `int` >= 1"),
        ('name = "s"\npromt = [8]', "unknown field `promt`"),
        ('name = "s"\nplans = ["fastest"]', "Invalid enum value 'fastest'"),
        ('name = "s"\nplans = []', "no plan to measure"),
        ('name = "s"\nrepeats = { least = 5, most = 2 }', "less than least"),
        ('name = "s"\n[[plan]]\nname = "auto"\nsplit = [4]', "named twice"),
        ('name = "s"\n[[plan]]\nname = "x"\nsplit = [2, 2]\non = ["a"]', "2 parts on 1 devices"),
        (
            'name = "s"\ndepth = [0, 64]\nconcurrency = [1, 9]',
            "9 requests at once, and a depth: ranks keep 8",
        ),
        ("name = [", "Invalid value"),
    ],
)
def test_a_wrong_suite_is_refused_by_reason(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SuiteError, match=r"mine\.toml") as caught:
        load(str(file))
    assert said in str(caught.value)
    with pytest.raises(SuiteError, match="neither a file nor one of depth, quick"):
        load("fast")


def test_at_a_depth_so_many_requests_are_taken_as_there_are_caches() -> None:
    assert KEPT == slots.MOST
    assert max(decode(b'name = "s"\ndepth = [64]\nconcurrency = [8]').concurrency) == KEPT
    assert decode(b'name = "s"\nconcurrency = [64]').room > 0


def test_contenders_are_made_once_each_and_what_cannot_be_is_said() -> None:
    hosts = [Host("a", 4 * GIB, chip="Apple M4 Max"), Host("b", 4 * GIB, chip="Apple M1")]
    auto = propose(SPEC, hosts, [], 256)
    suite = decode(
        b'name = "s"\nplans = ["auto", "single", "even", "exo"]\n'
        b'[[plan]]\nname = "mine"\nsplit = [1, 3]\non = ["b", "a"]\n'
        b'[[plan]]\nname = "odd"\nsplit = [1, 1]\n'
        b'[[plan]]\nname = "gone"\nsplit = [4]\non = ["c"]\n'
    )
    made = Contenders(SPEC, hosts, [], 256, "sockets", auto)
    plans = dict(made.of(suite))
    assert plans["auto"] is auto
    assert plans["even"].split == (2, 2)
    assert [stage.device for stage in plans["mine"].stages] == ["b", "a"]
    said = "\n".join(made.left_out)
    assert "is the same plan as auto" in said  # of a model this small one device is the best plan
    assert "odd: the split 1+1 is 2 layers" in said and "gone: c is not ready" in said
    assert len({plan.stages for plan in plans.values()}) == len(plans)


def test_a_split_of_tensor_groups_is_measured_as_it_is_launched() -> None:
    hosts = [Host(name, 4 * GIB) for name in ("a", "b", "c", "odd+name")]
    suite = decode(
        b'name = "s"\nplans = []\n'
        b'[[plan]]\nname = "hybrid"\nsplit = [1, 3]\non = ["c", "b+a"]\n'
        b'[[plan]]\nname = "one"\nsplit = [4]\non = ["odd+name"]\n'
        b'[[plan]]\nname = "gone"\nsplit = [4]\non = ["a+d"]\n'
        b'[[plan]]\nname = "three"\nsplit = [4]\non = ["a+b+c"]\n'
    )
    made = Contenders(SPEC, hosts, [], 256, "sockets", propose(SPEC, hosts, [], 256))
    plans = dict(made.of(suite))
    assert [(stage.devices, stage.layers) for stage in plans["hybrid"].stages] == [
        (("c",), 1),
        (("b", "a"), 3),
    ]
    assert plans["hybrid"].backend == "ring"  # which sockets are not between the devices of a group
    assert (plans["one"].backend, plans["one"].stages[0].devices) == ("sockets", ("odd+name",))
    assert plans.keys() == {"hybrid", "one"}
    assert made.left_out[0] == "gone: d is not ready" and made.left_out[1].startswith("three: ")


def test_a_plan_of_the_shelf_is_measured_by_its_name(tmp_path: Path) -> None:
    hosts, shelf = [Host("a", 4 * GIB), Host("b", 4 * GIB)], Shelf(tmp_path)
    shelf.save("fast one", split(SPEC, hosts, [3, 1], 128, asked="ring"))
    shelf.save("elsewhere", split(SPEC, [Host("z", 4 * GIB)], [4], 128))
    shelf.save("other", msgspec.structs.replace(split(SPEC, hosts, [2, 2], 128), model="another"))
    names = ("fast one", "elsewhere", "other", "unheard of")
    suite = decode(
        "\n".join(['name = "s"\nplans = []', *(f'[[plan]]\nname = "{n}"' for n in names)]).encode()
    )
    kept, _ = shelf.load()
    made = Contenders(SPEC, hosts, [], 256, "sockets", propose(SPEC, hosts, [], 256), kept)
    [(name, plan)] = made.of(suite)
    assert (name, plan.split, plan.backend, plan.context) == ("fast one", (3, 1), "ring", 256)
    assert made.left_out == [
        "elsewhere: z is not ready",
        "other: it is a plan for another",
        "unheard of: no plan is kept under this name",
    ]


def test_plans_have_room_for_all_that_is_asked_at_once() -> None:
    hosts = [Host("a", 4 * GIB), Host("b", 4 * GIB)]
    suite = Suite(name="s", prompt=(1024,), generate=(1024,), concurrency=(1, 4), plans=("auto", "even"))
    assert suite.longest <= SPEC.context < suite.room
    made = Contenders(SPEC, hosts, [], suite.room, "sockets", propose(SPEC, hosts, [], SPEC.context))
    assert [(name, plan.context) for name, plan in made.of(suite)] == [("auto", 8192), ("even", 8192)]


def test_neighbours_move_layers_between_stages() -> None:
    hosts = [Host("a", 4 * GIB), Host("b", 4 * GIB)]
    auto = Contenders(SPEC, hosts, [], 256, "sockets", propose(SPEC, hosts, [], 256)).of(
        Suite(name="s", plans=("even",))
    )[0][1]
    around = Contenders(SPEC, hosts, [], 256, "sockets", auto).of(Suite(name="s", plans=("neighbours",)))
    assert [plan.split for _, plan in around] == [(1, 3), (3, 1)]
    assert [name for name, _ in around] == ["a→b 1", "b→a 1"]
