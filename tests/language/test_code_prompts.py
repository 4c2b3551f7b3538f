import ast

import pytest

from collapse.language.code_prompts import CODE_PROMPTS

# Together they finish every opening.
_ENDINGS = (
    "\n",
    " 1\n",
    "\n    pass\n",
    "\n        pass\n",
    "\n    def f(self): pass\n",
    "\nexcept ValueError:\n    pass\n",
    "\n    def f(): pass\n    return f\n",
    "\n}\n",
    " x]\n",
    " x}\n",
    " x, y))\n",
    " x)\n",
    " x\n",
    ")\ndef f(): pass\n",
    '."""\n',
    '\n    """\n',
)


def test_there_are_52_different_ones() -> None:
    assert len(CODE_PROMPTS) == len(set(CODE_PROMPTS)) == 52


@pytest.mark.parametrize("prompt", CODE_PROMPTS)
def test_each_can_be_completed(prompt: str) -> None:
    assert prompt.strip() == prompt
    assert any(_parses(prompt + ending) for ending in _ENDINGS)


def test_they_are_varied() -> None:
    words = ("def", "class", "for", "while", "if", "import", "try", "with", "lambda", "@", '"""')
    for word in words:
        assert any(word in prompt for prompt in CODE_PROMPTS), word
    # As files begin: nothing of what came before is cut off.
    assert not any(
        prompt.startswith(("else", "elif", "except", "finally")) for prompt in CODE_PROMPTS
    )


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
