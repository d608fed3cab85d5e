"""Single quiet lines between a lesson's outputs."""

from nnopt_lab.course.notes import Note, note


def test_a_note_is_text_on_a_terminal_and_escaped_html_in_a_notebook(capsys):
    note("`a<b` is *not* b")
    assert capsys.readouterr().out == "○ `a<b` is *not* b\n"
    shown = Note("`a<b` is *not* b")._repr_html_()
    assert "<code>a&lt;b</code> is <em>not</em> b</div>" in shown
