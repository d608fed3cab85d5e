"""JupyterLab as `nnopt lab` starts it."""


def test_a_lesson_opens_without_an_error_and_asks_nothing(lab):
    opened = lab("00_start_here.ipynb")
    assert opened.page.locator(".jp-Notebook h1").first.inner_text().startswith("Start here")
    assert opened.page.locator(".jp-Dialog, .Toastify__toast").count() == 0
    assert opened.errors == []
