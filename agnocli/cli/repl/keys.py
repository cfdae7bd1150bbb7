"""What keys do at the prompt, beside those of Emacs."""

from __future__ import annotations

from prompt_toolkit.application.current import get_app
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from agnocli.cli.repl.folds import Folds


def bindings(folds: Folds) -> KeyBindings:
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    @Condition
    def has_text() -> bool:
        return bool(get_app().current_buffer.text)

    @Condition
    def behind_fold() -> bool:
        return bool(folds.at_end(get_app().current_buffer.document.text_before_cursor))

    keys.add("enter", filter=typing)(_enter)
    keys.add("escape", "enter", filter=typing)(_new_line)
    keys.add("c-j", filter=typing)(_new_line)
    keys.add("c-c", filter=typing & has_text)(_clear)
    keys.add("tab", filter=typing)(_complete)

    @keys.add(Keys.BracketedPaste, filter=typing)
    def paste(event: KeyPressEvent) -> None:
        _replace_selection(event)
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        folds.pasted.append(text)
        event.current_buffer.insert_text(folds.fold(text))

    @keys.add("backspace", filter=typing & behind_fold)
    def delete_fold(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        buffer.delete_before_cursor(len(folds.at_end(buffer.document.text_before_cursor)))

    @keys.add("c-x", "c-e", filter=typing)
    def edit(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        buffer.exit_selection()
        buffer.text = folds.unfold(buffer.text)
        buffer.open_in_editor()

    return keys


def _enter(event: KeyPressEvent) -> None:
    """Send, or begin a new line in place of a backslash at the end of this one."""
    buffer = event.current_buffer
    line = buffer.document.current_line_before_cursor
    backslashes = len(line) - len(line.rstrip("\\"))
    if backslashes % 2 and buffer.document.is_cursor_at_the_end_of_line:
        buffer.delete_before_cursor(1)
        buffer.newline(copy_margin=False)
        return
    buffer.exit_selection()
    buffer.validate_and_handle()


def _new_line(event: KeyPressEvent) -> None:
    _replace_selection(event)
    event.current_buffer.newline(copy_margin=False)


def _complete(event: KeyPressEvent) -> None:
    """Complete as far as is certain, at once, for the next key may be Enter; then offer what is left."""
    buffer = event.current_buffer
    if buffer.complete_state is not None:
        buffer.complete_next()
        return
    asked = CompleteEvent(completion_requested=True)
    found = list(buffer.completer.get_completions(buffer.document, asked))
    if len(found) == 1:
        buffer.apply_completion(found[0])
    elif found:
        buffer.insert_text(get_common_complete_suffix(buffer.document, found))
        buffer.start_completion()


def _clear(event: KeyPressEvent) -> None:
    """Empty the line; undo brings it back."""
    buffer = event.current_buffer
    buffer.exit_selection()
    buffer.complete_state = None
    buffer.save_to_undo_stack()
    buffer.text = ""


def _replace_selection(event: KeyPressEvent) -> None:
    if event.current_buffer.selection_state is not None:
        event.current_buffer.cut_selection()
