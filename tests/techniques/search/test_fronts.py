"""Fronts and the area that they beat, against their definitions on small whole numbers."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.search.fronts import hypervolume, pareto_front

whole = st.tuples(st.integers(0, 8), st.integers(0, 8))


@given(st.lists(whole, min_size=1, max_size=12))
def test_the_front_is_what_nobody_beats(points):
    front = [points[i] for i in pareto_front(points)]
    beaten = {p for p, q in product(points, points) if q != p and q[0] <= p[0] and q[1] <= p[1]}
    assert sorted(front) == front and set(front) == set(points) - beaten and len(set(front)) == len(front)


@given(st.lists(whole, max_size=8), whole)
def test_the_hypervolume_counts_the_squares_that_some_point_beats(points, reference):
    squares = product(range(reference[0]), range(reference[1]))
    wanted = sum(any(p[0] <= x and p[1] <= y for p in points) for x, y in squares)
    assert hypervolume(points, reference) == wanted
