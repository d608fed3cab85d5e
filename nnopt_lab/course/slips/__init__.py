"""Common slips in any answer: swapped results or arguments, a factor, a shift, a transpose.

A slip is named only if it explains every case: with the slip undone, the exercise accepts all results.
"""

from nnopt_lab.course.slips.compound import sometimes, two_mistakes
from nnopt_lab.course.slips.lossy import lost, misplaced
from nnopt_lab.course.slips.partly import partly_right
from nnopt_lab.course.slips.search import slip, swapped_arguments

__all__ = ["lost", "misplaced", "partly_right", "slip", "sometimes", "swapped_arguments", "two_mistakes"]
