"""The built-in text `code`: a program with nested brackets, indentation, strings and comments.

A text is the symbol `function` expanded by RULES again and again; then, without chance, every line is indented by
the number of braces open where it begins, and a string is capitalised where `^` stands. So the text says at every
position how deep the brackets are, of which kind the innermost is, and whether one is in a string or a comment.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.corpus.builtin.grammar import Draws, Grammar, Rules, words

SEED = 1972
INDENT = "    "

RULES: Rules = {
    "function": {
        "// <remark>\nfunction <verb>_<noun>(<parameters>) {\n<body>return <value>;\n}\n\n": 4,
        "function <verb>_<noun>(<parameters>) {\n<body>}\n\n": 3,
        "function is_<quality>(<variable>) {\n<body>return <condition>;\n}\n\n": 2,
        "/* <remark>,\n * and <remark>.\n */\nfunction <verb>(<parameters>) {\n<body>return <value>;\n}\n\n": 1,
        "const <table> = [\n<rows>];\n\n": 1,
    },
    "rows": {"{ name: <string>, <noun>: <number> },\n": 2, "{ name: <string>, <noun>: <number> },\n<rows>": 5},
    "parameters": {"": 1, "<variable>": 4, "<variable>, <variable>": 4, "<variable>, <variable>, <variable>": 1},
    "body": {"<statement>": 2, "<statement><statement>": 3, "<statement><statement><statement>": 2},
    "statement": {
        "let <variable> = <value>;\n": 7,
        "<variable> = <value>;\n": 4,
        "<variable>[<index>] = <value>;\n": 2,
        "<variable> += <number>;\n": 2,
        "<verb>_<noun>(<arguments>);\n": 4,
        "print(<string>);\n": 2,
        "print(<string>, <value>);\n": 1,
        "// <remark>\n": 2,
        "if (<condition>) {\n<body>}\n": 3,
        "if (<condition>) {\n<body>} else {\n<body>}\n": 1,
        "while (<condition>) {\n<body>}\n": 1,
        "for (let <counter> = 0; <counter> < <number>; <counter>++) {\n<body>}\n": 1,
    },
    "condition": {
        "<variable> <compares> <value>": 5,
        "is_<quality>(<variable>)": 3,
        "!is_<quality>(<variable>)": 1,
        "(<condition>) && (<condition>)": 1,
        "(<condition>) || !(<condition>)": 1,
        "<variable>[<index>] <compares> <number>": 1,
    },
    "value": {
        "<variable>": 6,
        "<number>": 5,
        "<string>": 3,
        "<variable>[<index>]": 2,
        "<verb>_<noun>(<arguments>)": 3,
        "(<value> <operator> <value>)": 2,
        "[<arguments>]": 2,
        "{ <noun>: <value> }": 1,
    },
    "arguments": {"<value>": 4, "<value>, <value>": 2, "<value>, <value>, <value>": 1},
    "index": {"<counter>": 3, "<number>": 2, "<variable> + 1": 1, "<variable>[<index>]": 1},
    "string": {'"^the <quality> <noun>"': 3, '"<noun>"': 3, '"^<remark>."': 2, '""': 1},
    "remark": {
        "<verb> the <quality> <noun>": 3,
        "<verb> every <noun> in the <noun>": 2,
        "the <noun> is <quality>": 2,
        "the <noun> must not be <quality>": 1,
        "never <verb> a <noun> before the <noun>": 1,
    },
    "operator": {"+": 5, "-": 3, "*": 3, "/": 1, "%": 1},
    "compares": {"==": 4, "<": 3, ">": 3, "!=": 2, "<=": 1, ">=": 1},
    "number": {"<digit>": 5, "<digit><digit>": 2, "<digit><digit><digit>": 1, "0.<digit>": 1, "-1": 1},
    "digit": dict.fromkeys("123456789", 1.0),
    "counter": {"i": 3, "j": 2, "k": 1},
    "table": words("NAMES COLORS PRICES STATES RULES TABLE PLANETS"),
    "variable": words(
        "x item count value name left right total result index key size list node next start end line first last "
        "queue parent limit depth row column buffer flag"
    ),
    "verb": words(
        "find get set add read write open close count sort move check make send remove parse draw load merge print "
        "update store reset copy join split fill wait"
    ),
    "noun": words(
        "item list file line name table word key page color path node user lamp door tree price letter queue window "
        "message box map token row number clock planet river garden bridge market ticket"
    ),
    "quality": words("empty open new last old closed ready red small full valid long broken known first hidden free"),
}

_GRAMMAR = Grammar(RULES)


def pieces() -> Iterator[str]:
    """Yield functions for ever, the same on every machine."""
    draws = Draws(SEED)
    while True:
        yield _indented(_capitals(_GRAMMAR.sample("function", draws)))


def _capitals(text: str) -> str:
    head, *tails = text.split("^")
    return head + "".join([tail[:1].upper() + tail[1:] for tail in tails])


def _indented(text: str) -> str:
    lines = []
    depth = 0
    for line in text.split("\n"):
        if line[:1] in ("}", "]"):
            depth -= 1
        lines.append(INDENT * depth + line if line else line)
        if line[-1:] in ("{", "["):
            depth += 1
    return "\n".join(lines)
