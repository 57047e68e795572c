"""Keys of lists, forms and questions."""

from __future__ import annotations

from textual.binding import Binding

LIST = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next one", id="list.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="list.previous"),
    Binding("home,g", "end_of(-1)", "First", show=False, tooltip="The first one", id="list.first"),
    Binding("end,G", "end_of(1)", "Last", show=False, tooltip="The last one", id="list.last"),
    Binding("enter", "pick", "Take", show=False, tooltip="Take the chosen one", id="list.take"),
)

CONVERSATIONS = (
    Binding("n", "new", "New", tooltip="Start an empty conversation", id="conversations.new"),
    Binding("r", "rename", "Rename", tooltip="Rename the chosen one", id="conversations.rename"),
    Binding("d", "delete", "Delete", tooltip="Delete the chosen one, after a yes", id="conversations.delete"),
    Binding("slash", "search", "Search", tooltip="Search what was said", id="conversations.search"),
    Binding("escape", "leave", "Close", tooltip="End the search, then close", id="conversations.close"),
)

MODELS = (
    Binding("a", "add", "Add folder", tooltip="Look for models in a folder as well", id="models.add"),
    Binding("slash", "search", "Search", tooltip="Search by name or path", id="models.search"),
    Binding("escape", "leave", "Close", tooltip="End the search, then close", id="models.close"),
)

RECORDINGS = (
    Binding("space", "mark", "Mark", tooltip="Take it in, or leave it out again", id="recordings.mark"),
    Binding("a", "add", "Name a file", tooltip="A recording that lies elsewhere", id="recordings.add"),
    Binding("escape", "leave", "Close", tooltip="Compare nothing", id="recordings.close"),
)

ADD = (
    Binding("ctrl+s", "keep", "Keep", tooltip="Add it, and write it into config.toml", id="add.keep"),
    Binding("escape", "leave", "Leave", tooltip="Do not add it", id="add.leave"),
)

FORM = (
    Binding("ctrl+s", "take", "Take", tooltip="Take it as it is filled in", id="form.take"),
    Binding("escape", "leave", "Leave", tooltip="Leave it as it was", id="form.leave"),
)

ENTRY = (Binding("escape", "leave", "Leave", tooltip="Leave it as it was", id="entry.leave"),)

DIALOG = (Binding("escape,q,enter", "dismiss", "Close", tooltip="Close", id="close"),)

HELP = (Binding("question_mark,f1", "dismiss", "Close", tooltip="Close", id="help.close"),)

LINE = (
    Binding("escape", "leave", "Leave", tooltip="Type nothing", id="line.leave"),
    Binding("tab", "complete", "Complete", tooltip="Complete what is typed", id="line.complete"),
    Binding("down", "choose(1)", "Next", show=False, tooltip="The next one", id="line.next"),
    Binding("up", "choose(-1)", "Previous", show=False, tooltip="The one before", id="line.previous"),
)

THEMES = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next theme", id="themes.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="themes.previous"),
    Binding("enter", "keep", "Keep", tooltip="Keep this theme", id="themes.keep"),
    Binding("escape,q", "leave", "Leave", tooltip="Back to the theme before", id="themes.leave"),
)

QUESTION = (
    Binding("y", "answer(True)", "Yes", tooltip="Yes", id="answer.yes"),
    Binding("n,escape", "answer(False)", "No", tooltip="No", id="answer.no"),
)

TRUST = (
    Binding("y", "answer(True)", "Accept", tooltip="Accept the key", id="trust.accept"),
    Binding("n", "answer(False)", "Refuse", tooltip="Refuse the key", id="trust.refuse"),
    Binding("escape", "later", "Later", tooltip="Decide later", id="trust.later"),
)
