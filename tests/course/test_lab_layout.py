"""JupyterLab's layout in a workspace: made once, then JupyterLab's and the learner's own."""

import json

from nnopt_lab.course.lab_layout import CONTENTS, layout_folder


def test_the_contents_are_open_at_first_and_a_layout_of_the_learners_stays(tmp_path):
    folder = layout_folder(tmp_path)
    (file,) = folder.iterdir()
    made = json.loads(file.read_text())
    assert made["metadata"]["id"] == "default"
    assert made["data"]["layout-restorer:data"]["left"]["current"] == CONTENTS
    file.write_text("mine")
    assert layout_folder(tmp_path) == folder and file.read_text() == "mine"


def test_each_workspace_has_its_own(tmp_path):
    folders = {layout_folder(tmp_path / name) for name in "ab"}
    assert len(folders) == 2 and all(any(folder.iterdir()) for folder in folders)
