"""The secrets of a class: new each time, easy to type, and equal only to themselves."""

from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.grading.live import codes


def test_each_class_has_its_own():
    made = [codes.new() for _ in range(50)]
    assert len({one.code for one in made}) == len({one.key for one in made}) == 50
    assert all(len(one.code) == 8 and set(one.code) <= set(codes.LETTERS) and len(one.key) >= 32 for one in made)
    assert not set("01iloIO") & set(codes.LETTERS)


@given(st.text())
def test_nothing_else_is_accepted(text):
    one = codes.Codes("abcd2345", "key")
    assert one.is_code(text) == (text == "abcd2345") and one.is_key(text) == (text == "key")
