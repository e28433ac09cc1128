"""Cases that end badly on purpose: one or more for every verdict."""

from tests.hostile.case import Case
from tests.hostile.case import either
from tests.hostile.case import refused
from tests.hostile.case import works

SAY = "import sys; print('x: the number is wrong', file=sys.stderr); "


def command(verdict, text, expected, **kwargs):
    return Case(
        f"{verdict}, command: {text}",
        expected,
        command="./script.py",
        setup=f"write('script.py', {text!r})",
        writes=("out",),
        **kwargs,
    )


def snippet(verdict, text, expected, **kwargs):
    return Case(f"{verdict}, snippet: {text}", expected, snippet=text, **kwargs)


CASES = [
    command("ok", "pass", works()),
    command("ok", SAY + "sys.exit(2)", refused("number")),
    command("ok", "import os; os.mkdir('out')", works("os.path.isdir('out')")),
    command("traceback", "1 / 0", refused("number")),
    command("abort", "import os; os.abort()", refused("number")),
    command("hang", "import time; time.sleep(60)", works(), seconds=2),
    command("silence", "pass", refused("number")),
    command("silence", "import sys; sys.exit(2)", refused("number")),
    command("exit code", SAY + "sys.exit(3)", refused("number")),
    command("unclear", SAY + "sys.exit(2)", refused("other")),
    command("lines", SAY + SAY + "sys.exit(2)", refused("number")),
    command(
        "raw message",
        SAY.replace("the", "{{node the}}") + "sys.exit(2)",
        refused("number"),
    ),
    command("lost file", "import os; os.remove('.env')", works()),
    command("lost file", "open('notes.txt', 'a').write('x')", works()),
    command("lost file", "open('new', 'w')", works()),
    command("memory", "x = b'x' * (9 << 27)", works()),
    command("wrong answer", "pass", works("os.path.isdir('out')")),
    Case(
        "traceback, shell: python",
        works(),
        shell="python -c 'import nothing_at_all'",
    ),
    Case("silence, shell: exit code 0", refused("number"), shell="true"),
    snippet("ok", "raise ValueError('number')", refused("number")),
    snippet("ok", "expect(True, 'x')", works()),
    snippet("traceback", "[][1]", refused("number")),
    snippet("traceback", "raise ValueError('number')", works()),
    snippet("abort", "os.abort()", refused("number")),
    snippet("ok", "expect(1 == 1, 'after an abort')", works()),
    snippet("hang", "import time; time.sleep(60)", works(), seconds=2),
    snippet("silence", "pass", refused("number")),
    snippet("unclear", "raise ValueError('other')", refused("number")),
    snippet(
        "raw message",
        "raise ValueError('{{node x}} number')",
        refused("number"),
    ),
    snippet("lost file", "os.remove('.git/HEAD')", works()),
    snippet("lost file", "os.remove('.env'); os.abort()", works()),
    snippet("memory", "x = np.ones(9 << 25, 'float32')", works()),
    snippet("wrong answer", "expect(3 == 4, 'one row for four')", works()),
    snippet("wrong answer", "expect(3 == 4, 'even so')", either()),
]
