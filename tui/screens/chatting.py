"""What the main screen does about the conversation."""

from __future__ import annotations

from textual import work

from core.conversations.manner import Manner
from core.intents import why_not_resume
from core.state import ClusterState, Request
from tui.desk import Desk
from tui.host import app_of
from tui.screens.explaining import Explaining
from tui.screens.question import Question
from tui.widgets.chatlog import ChatLog
from tui.widgets.composer import Composer
from tui.widgets.markdown import code_blocks


def prompts(state: ClusterState) -> list[str]:
    """What was asked, oldest first, each once."""
    asked = [r for r in state.requests.values() if r.source == "chat"]
    return list(dict.fromkeys(r.prompt for r in sorted(asked, key=lambda r: r.started)))


class Chatting(Explaining):
    """A screen with a `ChatPane`."""

    desk: Desk
    _code: tuple[str, int] = ("", 0)
    """The answer that code was copied from last, and how many of its blocks so far."""

    def action_pane(self, name: str) -> None:
        """Bring a pane to the front."""
        raise NotImplementedError

    def _may(self, action: str) -> bool:
        reason = self.desk.why_not(action)
        if reason:
            self.say_not(action, reason)
        return not reason

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        """A prompt was written; it stays in the composer when it cannot be sent."""
        message.stop()
        if message.text.strip() and self._may("ask"):
            self._ask(message.text, message.replaces, message.composer)

    @work(group="ask", exclusive=True)
    async def _ask(self, prompt: str, replaces: str, composer: Composer | None) -> None:
        """Ask, after a yes where more than the answer would go."""
        state = self.desk.state
        known = state.conversations.get(state.conversation, ())
        after = len(known) - known.index(replaces) - 1 if replaces in known else 0
        if after:
            what = "the question" if after == 1 else f"the {after} questions"
            text = f"Asking again from here drops {what} after it, answers and all."
            if not await app_of(self).push_screen_wait(Question(text, "y ask again   n keep them")):
                return
        if self.desk.intents is None or not self._may("ask"):
            return
        self.desk.intents.ask(prompt.strip(), replaces if replaces in known else "")
        if composer is not None:
            composer.sent(prompt)
        self.query_one(ChatLog).anchor()

    def on_chat_log_asked(self, message: ChatLog.Asked) -> None:
        """A key on an exchange."""
        message.stop()
        request = message.request
        match message.wish:
            case "edit" | "again" if self.desk.playback is not None:
                self.say_not("ask", "this is a replay")
            case "edit" | "again" if request.done is None:
                self.say_not("ask", "its answer is being written; s ends it")
            case "edit":
                self.query_one(Composer).rewrite(request.prompt, request.id)
            case "again":
                if self._may("ask"):
                    self._ask(request.prompt, request.id, None)
            case "resume":
                self._resume(request)
            case "copy":
                self._copy(request.text.strip(), "the answer")
            case "code":
                self._copy_code(request)

    def _resume(self, request: Request) -> None:
        reason = "this is a replay" if self.desk.playback is not None else None
        reason = reason or why_not_resume(self.desk.state, request.id)
        if reason:
            self.say_not("ask", reason)
        elif self.desk.intents is not None:
            self.desk.intents.resume(request.id)

    def _copy_code(self, request: Request) -> None:
        blocks = code_blocks(request.text)
        if not blocks:
            self.notify("There is no code in this answer.", markup=False)
            return
        at = self._code[1] % len(blocks) if self._code[0] == request.id else 0
        self._code = request.id, at + 1
        language, code = blocks[at]
        which = f" {at + 1} of {len(blocks)}; Y again takes the next" if len(blocks) > 1 else ""
        self._copy(code, f"{language or 'code'} block{which}".strip())

    def _copy(self, text: str, what: str) -> None:
        if not text:
            self.notify("There is nothing to copy yet.", markup=False)
            return
        app_of(self).copy_to_clipboard(text)
        lines = text.count("\n") + 1
        amount = "1 line" if lines == 1 else f"{lines} lines"
        # OSC 52 gets no answer: whether the terminal took it nobody can say.
        self.notify(
            f"Copied {what}, {amount}, by OSC 52: if nothing comes, your terminal has it off.", markup=False
        )

    def action_conversations(self) -> None:
        """Show the list of conversations."""
        from tui.screens.conversations import ConversationsScreen

        if self._may("conversations") and self.desk.intents is not None:
            current = self.desk.state.conversation

            def left(changed: bool | None) -> None:
                if changed:
                    self.action_pane("chat")

            app_of(self).push_screen(ConversationsScreen(self.desk.intents.conversations, current), left)

    def action_manner(self) -> None:
        """Show how this conversation is held, to be changed."""
        from tui.screens.manner import MannerScreen

        if not self._may("manner") or self.desk.intents is None:
            return
        state, intents = self.desk.state, self.desk.intents

        def taken(manner: Manner | None) -> None:
            if manner is not None:
                intents.conversations.tune(manner)

        app_of(self).push_screen(MannerScreen(state.manners.get(state.conversation, Manner())), taken)
