from __future__ import annotations

from pathlib import Path

import pytest

from core.config import Config, ConfigError, DeviceEntry, keep, load
from core.options import Options
from core.wish import Wish

EVERYTHING = """
local = false

[[device]]
host = "192.0.2.7"
name = "studio"
user = "jane"
port = 2222
key = "~/.ssh/cluster"
python = "/opt/mlx/bin/python"

[[device]]
host = "mini.local"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    places = ("EXO_TUI_CONFIG", "EXO_TUI_CACHE", "EXO_TUI_DATA")
    for name in (*places, "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(home: Path, text: str) -> Path:
    path = home / ".config/exo-tui/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_without_a_file_this_machine_is_the_only_device(home: Path) -> None:
    config = load()
    data = home / ".local/share/exo-tui"
    assert config == Config(home / ".config/exo-tui", home / ".cache/exo-tui", (), local=True, data=data)
    assert config.known_hosts == home / ".config/exo-tui/known_hosts"
    assert not (home / ".config").exists(), "reading settings writes nothing"


def test_every_key_is_read(home: Path) -> None:
    write(home, EVERYTHING)
    config = load()
    studio, mini = config.devices
    assert not config.local
    assert studio.called == "studio"
    target = studio.target
    assert (target.host, target.port, target.user) == ("192.0.2.7", 2222, "jane")
    assert (target.key, target.python) == (home / ".ssh/cluster", "/opt/mlx/bin/python")
    assert mini == DeviceEntry("mini.local")
    assert mini.called == "mini.local"
    # What is not said is left to ssh_config and the agent.
    assert (mini.target.port, mini.target.user, mini.target.key) == (None, None, None)
    assert mini.target.python == "python3" and mini.target.ssh_config


def test_how_ranks_run_and_what_is_asked_of_plans_are_keys_of_run(home: Path) -> None:
    write(home, "[run]\nawake = true\ncontext = 8192\nkv_bits = 4\nmode = 'pipeline'\nbackend = 'ring'\n")
    config = load()
    assert config.run == Options(awake=True) and type(config.run) is Options, "it is what recordings have"
    assert config.wish == Wish(context=8192, kv_bits=4, mode="pipeline", backend="ring")


def test_the_xdg_folders_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "k"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "d"))
    (home / "c/exo-tui").mkdir(parents=True)
    (home / "c/exo-tui/config.toml").write_text("local = false")
    assert load() == Config(home / "c/exo-tui", home / "k/exo-tui", local=False, data=home / "d/exo-tui")


def test_our_own_variables_count_more_and_name_the_folder_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "k"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "d"))
    monkeypatch.setenv("EXO_TUI_CONFIG", str(home / "mine"))
    monkeypatch.setenv("EXO_TUI_CACHE", str(home / "cache"))
    monkeypatch.setenv("EXO_TUI_DATA", str(home / "data"))
    assert load() == Config(home / "mine", home / "cache", data=home / "data")


def test_an_empty_variable_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = ("EXO_TUI_CONFIG", "EXO_TUI_CACHE", "EXO_TUI_DATA")
    for name in (*places, "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "")
    assert load().folder == home / ".config/exo-tui"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("local = maybe", "line 1"),
        ("locale = true", "locale"),
        ("local = 1", "bool"),
        ("[run]\nkv_bits = 7", "kv_bits"),
        ("[run]\ncontext = 0", "context"),
        ("[run]\nbackend = 'smoke'", "backend"),
        ("[[device]]\nname = 'x'", "host"),
        ("[[device]]\nhost = ''", "host"),
        ("[[device]]\nhost = 'x'\nhots = 'y'", "hots"),
        ("[[device]]\nhost = 'x'\nport = '22'", "port"),
        ("[[device]]\nhost = 'x'\nport = 70000", "port"),
        ("[device]\nhost = 'x'", "array"),
        ("[[device]]\nhost = 'x'\n[[device]]\nhost = 'y'\nname = 'x'", "more than one device is called x"),
        ("[[device]]\nhost = 'this-machine'", "this-machine"),
    ],
)
def test_what_cannot_be_meant_is_said_with_the_files_name(home: Path, text: str, reason: str) -> None:
    path = write(home, text)
    with pytest.raises(ConfigError) as caught:
        load()
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and reason in message and "\n" not in message


def test_a_device_may_be_called_this_machine_where_the_console_is_none(home: Path) -> None:
    write(home, "local = false\n[[device]]\nhost = 'this-machine'")
    assert load().devices == (DeviceEntry("this-machine"),)


def test_a_file_that_is_no_text_is_refused(home: Path) -> None:
    path = write(home, "")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"config\.toml: "):
        load()


def test_a_folder_in_the_files_place_is_refused(home: Path) -> None:
    (home / ".config/exo-tui/config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml: "):
        load()


def test_a_device_that_is_kept_is_read_again_and_nothing_else_is_changed(home: Path) -> None:
    write(home, "# mine\nlocal = false\n\n[watch]\nbeat = 2.0")
    kept = DeviceEntry(
        "studio.local",
        name='Jane\'s "Mac"\\',
        user="jane",
        key="~/.ssh/k",
        work="/Volumes/fast/exo",
        models="~/m",
    )
    keep(home / ".config/exo-tui", kept)
    config = load()
    assert config.devices == (kept,) and config.watch.beat == 2.0 and not config.local
    path = home / ".config/exo-tui/config.toml"
    text = path.read_text()
    assert text.startswith("# mine\n") and path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="more than one device"):
        keep(path.parent, kept)
    assert path.read_text() == text and list(path.parent.iterdir()) == [path]


def test_a_device_is_kept_in_the_file_that_a_link_leads_to(home: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "exo.toml"
    real.parent.mkdir()
    real.write_text("local = false\n")
    link = write(home, "")
    link.unlink()
    link.symlink_to(real)
    keep(link.parent, DeviceEntry("mini.local"))
    assert link.is_symlink() and load().devices == (DeviceEntry("mini.local"),)
    assert real.read_text().startswith("local = false\n") and list(real.parent.iterdir()) == [real]


def test_a_first_device_is_kept_where_there_was_no_file(home: Path) -> None:
    keep(home / ".config/exo-tui", DeviceEntry("mini.local", name="mini"))
    assert load().devices == (DeviceEntry("mini.local", name="mini"),)
    written = (home / ".config/exo-tui/config.toml").read_text()
    assert written == '[[device]]\nhost = "mini.local"\nname = "mini"\npython = "python3"\n'
