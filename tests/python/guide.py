"""The code of the performance tuning guide, block by block."""

import ast
from pathlib import Path

PATH = Path(__file__).resolve().parents[1] / "data" / "performance-tuning-guide.md"


class Block:
    """A fenced block: its language, text and line, and the headings above it."""

    def __init__(self, language, line, section, heading, text):
        self.language = language
        self.line = line
        self.section = section
        self.heading = heading
        self.text = text

    @property
    def name(self):
        """For a test's name."""
        return f"{self.language}, line {self.line}: {self.heading}"

    def __repr__(self):
        return self.name


def read(path=PATH):
    """Every fenced block of a Markdown file, in order."""
    blocks, section, heading, fence = [], "", "", None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if fence:
            if line.strip() == "```":
                text = "".join(part + "\n" for part in fence[2])
                blocks.append(Block(fence[0], fence[1], section, heading, text))
                fence = None
            else:
                fence[2].append(line)
        elif line.startswith("```"):
            fence = (line[3:].strip(), number, [])
        elif line.startswith("## "):
            section = heading = line[3:]
        elif line.startswith("### "):
            heading = line[4:]
    assert fence is None, f"{path}: the block of line {fence[1]} does not end"
    return blocks


def _uses(code, name):
    """[(line, whether the name gets a value there)]"""
    return sorted((node.lineno, isinstance(node.ctx, ast.Store)) for node in ast.walk(ast.parse(code))
                  if isinstance(node, ast.Name) and node.id == name)


def needs(code, name):
    """Whether Python code uses a name before it gives it a value."""
    uses = _uses(code, name)
    return bool(uses) and not uses[0][1]


def gives(code, name):
    """Whether Python code gives a name a value."""
    return any(gets for _, gets in _uses(code, name))
