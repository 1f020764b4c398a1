# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines that documents show, so that tests run what people copy.

A block has a name behind its language, which readers do not see; commands must
have one, configuration may:

    ```sh podman-publish
    podman run --network pasta -p 8080:80 IMAGE
    ```

A test asks for the block by name. test/tree/doc checks that each block has a
name and that a test asks for it.
"""

import os
import re

from daemon import TOP


def blocks(document="doc/integrations.md"):
    """All named blocks of a document: {name: text}."""
    with open(os.path.join(TOP, document), encoding="utf-8") as f:
        found = re.findall(r"^```\w+ +(\S+)\n(.*?)^```$", f.read(),
                           re.MULTILINE | re.DOTALL)
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), "name used twice: %s" % names
    return dict(found)


def block(name, document="doc/integrations.md", **replace):
    """The text of one block, each WORD of replace put in its place."""
    text = blocks(document)[name]
    for word, value in replace.items():
        assert word in text, "no %s in block %s" % (word, name)
        text = text.replace(word, str(value))
    return text
