"""Parts of a page in Markdown."""

import re


def blocks(text, language):
    """The blocks of code in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
