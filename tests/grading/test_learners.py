"""Whose a name is: what platforms, browsers and learners write, told apart."""

import pytest

from nnopt_lab.grading.learners import Named, by_system, is_notebook, learner_in, stem


@pytest.mark.parametrize(
    ("names", "learners"),
    [
        # Canvas's: every number is one of a database.
        (["doejane_12345_67890_01_pruning.ipynb"], {"doejane"}),
        (["doejane_LATE_12345_67890_x.ipynb", "roe_12346_67891_x.ipynb"], {"doejane", "roe"}),
        (["doejane_104_2210_01_pruning.ipynb"], {"doejane"}),
        (["doejane_12345_67890_01_pruning.ipynb", "doejane_12345_67899_01_pruning-1.ipynb"], {"doejane"}),
        (["doejane_12345_67890_a b.zip"], {"doejane"}),
        # In form, but not in substance.
        (["lab_1_2_carol_01_pruning.ipynb", "lab_1_3_dave_01_pruning.ipynb"], set()),
        (["lab_1_2_carol_01_pruning.ipynb"], set()),
        (["lab_12_13_carol_01_pruning.ipynb", "lab_12_14_dave_01_pruning.ipynb"], set()),
        (["lab_10_99_carol_01_pruning.ipynb", "lab_11_99_dave_01_pruning.ipynb"], set()),
        (["backup_2026_11_26_01_pruning.ipynb"], set()),
        (["backup_2026_1_5_01_pruning.ipynb"], set()),
        (["backup_20261126_1830_01_pruning.ipynb"], set()),
        (["backup_26_11_2026_01_pruning.ipynb"], set()),
        (["backup_2026_1126_x.ipynb"], set()),
        (["alice_2_01_pruning.ipynb"], set()),
        (["alice_20_01_pruning.ipynb"], set()),
        (["alice_007_12345_x.ipynb"], set()),
        (["v_1_2_3.ipynb"], set()),
        (["team_12_34_alice.ipynb"], set()),
        (["Team_12_34_x.ipynb"], set()),
        (["teams_12_34_01_pruning.ipynb"], set()),
        (["group_101_202_bob_01_pruning.ipynb"], set()),
        (["hw_11_12.13_x.ipynb", "homework_11_12_x.ipynb"], set()),
        (["red_12_34_alice_01_pruning.ipynb"], set()),
        (["red_12_34_alice.ipynb", "red_12_35_bob.ipynb"], set()),
        (["student_12_34_56.ipynb"], set()),
        # A learner's own name in the file, as Canvas hands it on.
        (["doejane_12_34_jane_01_pruning.ipynb"], {"doejane"}),
        (["doejane_12345_67890_final_01_pruning.ipynb"], {"doejane"}),
        (["teamann_12_34_x.ipynb"], {"teamann"}),
    ],
)
def test_canvas_names_are_told_from_those_that_only_look_like_them(names, learners):
    assert {found.learner for found in by_system(names).values()} == learners


def test_moodle_names_are_read_with_and_without_a_folder():
    named = by_system(["Jane van Doe_54321_assignsubmission_file_", "Jane_Roe_7_assignsubmission_file_x.ipynb"])
    assert set(named.values()) == {Named("Jane van Doe", "moodle", "54321"), Named("Jane_Roe", "moodle", "7")}


@pytest.mark.parametrize(
    ("name", "learner"),
    [
        ("alice_01_pruning", "alice"),
        ("01_pruning-alice", "alice"),
        ("01_pruning", ""),
        ("01_pruning (1)", ""),
        ("01_pruning(12)", ""),
        ("01_pruning-1", ""),
        ("01_pruning-Copy1", ""),
        ("01_pruning copy", ""),
        ("01_pruning copy 2", ""),
        ("01_pruning - Copy (2)", ""),
        ("01_pruning - Kopie", ""),
        ("Copy of 01_pruning", ""),
        ("Copy of 01_pruning (1)", ""),
        ("alice_01_pruning (1)", "alice"),
        ("1234567_01_pruning", "1234567"),
        ("01_pruning_1234567", "1234567"),
        ("01_pruning_group (1)", "group (1)"),
        ("01_pruning_group_2", "group_2"),
        ("bob (1)", "bob (1)"),
        ("copy", "copy"),
    ],
)
def test_what_a_browser_adds_is_no_learner(name, learner):
    assert learner_in(name) == learner


def test_endings_are_told_however_they_are_written():
    for ending in (".ipynb", ".IPYNB", ".Ipynb", ".ipynb.txt", ".ipynb.json"):
        assert is_notebook(f"a{ending}") and stem(f"a{ending}") == "a"
    assert not is_notebook("a.ipynb.bak") and not is_notebook("a.txt") and stem("a.ZIP") == "a"
