"""What the main screen asks of a person: is this key right, go on, how to get in, may I install."""

from __future__ import annotations

from textual.widgets import Input, TextArea

from core.events import RecoveryChanged
from core.intents import Intents, why_not_provision
from core.joining import Wanted, why_not_add
from core.state import ClusterState
from tui.desk import Desk
from tui.host import app_of
from tui.screens.explaining import Explaining
from tui.screens.question import Question
from tui.screens.trust import TrustScreen
from tui.widgets.cluster import ClusterPane
from tui.widgets.links import device_name


class Questions(Explaining):
    """A screen over which the questions open."""

    desk: Desk

    def __init__(self) -> None:
        super().__init__()
        self._asked: RecoveryChanged | None = None
        self._deferred: set[tuple[str, str]] = set()
        """Host keys whose question was answered or put off; they do not open by themselves again."""

    def stale(self) -> None:
        """What is shown is to be drawn anew."""
        raise NotImplementedError

    @property
    def _calm(self) -> bool:
        """Whether a question may open by itself: not over another one, nor under the letters of somebody who
        writes, and not while the terminal is in the background, where the focus would be forgotten."""
        app = app_of(self)
        field = self.focused
        writing = (
            field.text if isinstance(field, TextArea) else field.value if isinstance(field, Input) else ""
        )
        return app.screen is self and app.app_focus and not writing

    def ask_trust(self, state: ClusterState) -> None:
        """Open the first question that was not put off; close one that is no longer asked."""
        top = app_of(self).screen
        if isinstance(top, TrustScreen) and top.asked.device not in state.questions:
            top.dismiss(None)
        if self.desk.intents is None or not self._calm:
            return
        for asked in state.questions.values():
            if (asked.device, asked.fingerprint) not in self._deferred:
                self.ask_of(asked.device)
                return

    def ask_of(self, device: str) -> None:
        """Show the host key a device waits with."""
        asked = self.desk.state.questions[device]
        self._deferred.add((asked.device, asked.fingerprint))

        def answered(accepted: bool | None) -> None:
            self.stale()
            if accepted is not None and self.desk.intents is not None:
                self.desk.intents.trust(device, accepted)

        app_of(self).push_screen(TrustScreen(asked), answered)

    def ask_recovery(self, state: ClusterState) -> None:
        """Ask whether to go on after a failed run, once."""
        asked, intents = state.recovery, self.desk.intents
        if asked is None or asked.stage != "asked" or asked is self._asked or intents is None:
            return
        if self._calm:
            self._asked = asked

            def answered(accepted: bool | None) -> None:
                intents.recover(bool(accepted))

            app_of(self).push_screen(Question(asked.text, "y go on   n leave it"), answered)

    def ask_relaunch(self, intents: Intents) -> None:
        """Ask whether to launch again with the devices that are back."""
        state = self.desk.state
        names = " and ".join(device_name(state, name) for name in state.offered)
        ends = ", and what it is answering," if state.open else ""

        def answered(yes: bool | None) -> None:
            if yes:
                intents.relaunch()

        text = f"Stop the run{ends} and launch again with {names}?"
        app_of(self).push_screen(Question(text, "y stop and launch   n leave it"), answered)

    def ask_how(self, intents: Intents, key: str) -> None:
        """Have the form for adding a peer filled in."""
        state = self.desk.state
        peer = state.peers.get(key)
        reason = why_not_add(state, peer) if peer else "is no longer announced"
        if peer is None or reason:
            self.notify(f"{peer.name if peer else key} {reason}", severity="warning", markup=False)
            return

        def wanted(said: Wanted | None) -> None:
            if said is not None:
                intents.add(peer, said)

        from tui.screens.add import AddScreen

        app_of(self).push_screen(AddScreen(self.desk, peer), wanted)

    def on_cluster_pane_provision(self, message: ClusterPane.Provision) -> None:
        """Ask before anything is written on a device."""
        message.stop()
        intents, device = self.desk.intents, message.device
        reason = self.desk.why_not("provision") or why_not_provision(self.desk.state, device)
        if intents is None or reason:
            self.say_not("install mlx", reason or "still starting")
            return
        checked = self.desk.state.devices[device].checked
        own = checked is not None and checked.own
        doing = intents.unprovision if own else intents.provision
        text = (
            f"Remove the Python with mlx that exo-tui made on {device}?"
            if own
            else f"Make a Python with mlx on {device}, in a folder of its own? It fetches some 200 MB there."
        )

        def answered(yes: bool | None) -> None:
            if yes:
                doing(device)

        app_of(self).push_screen(Question(text, "y yes   n no"), answered)
