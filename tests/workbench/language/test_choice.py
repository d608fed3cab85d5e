"""The language in use."""

import pytest

from nnopt_lab.workbench.language import current_language, languages, set_language, speaking


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_TW:en"}, "zh"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"NNOPT_LANGUAGE": "zh", "LANG": "en_US"}, "zh"),
        ({"NNOPT_LANGUAGE": "en", "LANG": "zh_CN"}, "en"),
        ({"NNOPT_LANGUAGE": "zh-CN"}, "zh"),
        ({"NNOPT_LANGUAGE": "", "LANG": "zh"}, "zh"),
    ],
)
def test_the_variable_goes_before_the_locale(environment, expected):
    assert current_language(environment) == expected


def test_a_choice_goes_before_the_variable(monkeypatch):
    monkeypatch.setenv("NNOPT_LANGUAGE", "en")
    set_language("zh")
    assert current_language() == "zh"
    set_language(None)
    assert current_language() == "en"


def test_a_language_is_spoken_for_a_while():
    set_language("zh")
    with pytest.raises(ZeroDivisionError), speaking("en"):
        assert current_language() == "en"
        raise ZeroDivisionError
    assert current_language() == "zh"
    with pytest.raises(ValueError, match="language='fr'"), speaking("fr"):
        pass
    assert current_language() == "zh"


def test_an_unknown_language_is_refused_with_those_that_there_are():
    assert languages() == ["en", "zh"]
    with pytest.raises(ValueError, match="language='fr' must be one of: en, zh"):
        set_language("fr")
    with pytest.raises(ValueError, match="NNOPT_LANGUAGE='fr' must be one of: en, zh"):
        current_language({"NNOPT_LANGUAGE": "fr"})
