#!/usr/bin/env python3
"""Parses PowerShell scripts with a grammar of the language; exit code 1 if one is malformed."""

import pathlib
import sys

import tree_sitter
import tree_sitter_powershell

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
bad = 0
for path in map(pathlib.Path, sys.argv[1:]):
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    waiting = [parser.parse(text).root_node]
    while waiting:
        node = waiting.pop()
        if node.type == "ERROR" or node.is_missing:
            bad += 1
            line = node.start_point[0]
            print(f"{path.name}: line {line + 1}: {text.splitlines()[line][:100]!r}", file=sys.stderr)
        waiting.extend(node.children)
sys.exit(1 if bad else 0)
