"""What the tests of the command share."""


def a_sentence(text: str) -> bool:
    return text.count("\n") == 1 and text.strip() and "Traceback" not in text


FINE = """
    # %%
    # Claims: what is one
    from nnopt_lab.course.calls import claim

    claim("one is one", True)
"""
