"""A style sheet without the rules, variables and fonts that a site cannot use."""

import re

STRING = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'|" + r"url\((?![\"'])[^)]*\)"
GROUPS = ("@media", "@supports", "@container", "@layer")


def blocks(css):
    """Split into `(head, body)` of rules; of a statement such as `@import`, the body is None."""
    depth, start, head = 0, 0, ""
    for sign in re.finditer(STRING + "|[{};]", css):
        if sign[0] == "{":
            if depth == 0:
                head, start = css[start : sign.start()].strip(), sign.end()
            depth += 1
        elif sign[0] == "}":
            depth -= 1
            if depth == 0:
                yield head, css[start : sign.start()].strip()
                start = sign.end()
        elif sign[0] == ";" and depth == 0:
            yield css[start : sign.start()].strip(), None
            start = sign.end()


def split(text, separator):
    """Split where the separator stands neither in a string nor in brackets."""
    depth, start = 0, 0
    for sign in re.finditer(f"{STRING}|[][(){separator}]", text):
        depth += (sign[0] in "([") - (sign[0] in "])")
        if sign[0] == separator and depth == 0:
            yield text[start : sign.start()].strip()
            start = sign.end()
    if rest := text[start:].strip():
        yield rest


class Names:
    """What a selector can meet: the names on the pages, and every word of their scripts.

    Neither places nor states are looked at. So a rule for a state that only a script brings about
    stays, and a rule too many stays as well.
    """

    def __init__(self, pages, scripts):
        self.tags, self.classes, self.ids = {"html", "body"}, set(), set()
        self.attributes = {"open", "hidden", "disabled"}  # what browsers and scripts set unnamed
        tags = set(re.findall(r"<([a-z][\w-]*)((?:[^<>\"]|\"[^\"]*\")*)>", pages, re.I))
        for tag, text in tags:
            self.tags.add(tag.lower())
            for name, value in re.findall(r"([\w:-]+)(?:=\"([^\"]*)\")?", text):
                self.attributes.add(name.lower())
                if name == "class":
                    self.classes.update(value.split())
                elif name == "id":
                    self.ids.add(value)
        # not after a dot or a hash: such names are looked for, not made
        scripts = re.sub(r"/\*.*?\*/|^\s*//[^\n]*", "", scripts, flags=re.S | re.M)
        self.words = set(re.findall(r"(?<![.#\w-])[\w-]+", scripts))
        for name in re.findall(r"\bdataset(?:\.|\[\W)(\w+)", scripts):
            self.words.add("data-" + re.sub("[A-Z]", lambda x: "-" + x[0].lower(), name))

    def meet(self, selector):
        """Whether every name in a selector is known, but those that it excludes."""
        attributes = set(re.findall(r"\[\s*([\w-]+)", selector))
        selector = re.sub(r"\[[^]]*\]", "", selector)
        while group := re.search(r":([\w-]+)\(([^()]*)\)", selector):
            if group[1] in ("is", "where") and not any(map(self.meet, group[2].split(","))):
                return False
            selector = selector.replace(group[0], "")
        selector = re.sub(r"::?[\w-]+", "", selector)
        found = {sign: set() for sign in (".", "#", "")}
        for sign, name in re.findall(r"([.#]?)((?:[\w-]|\\.)+)", selector):
            found[sign].add(name.replace("\\", "") if sign else name.lower())
        return (
            attributes <= self.attributes | self.words
            and found["."] <= self.classes | self.words
            and found["#"] <= self.ids | self.words
            and found[""] <= self.tags | self.words
        )


def _pass(css, names, mentioned):
    kept = []
    for head, body in blocks(css):
        if body is None:
            kept.append(f"{head};")
            continue
        if head.startswith(GROUPS):
            body = _pass(body, names, mentioned)
        elif head == "@font-face":
            family = re.search(r"font-family\s*:\s*([^;]+)", body)[1]
            body = body if re.sub(r"[\"'\\]", "", family).strip() in mentioned else ""
        elif "keyframes" in head:
            body = body if re.search(rf"(?<!-)\b{head.split()[1]}\b(?!-)", mentioned) else ""
        elif not head.startswith("@") and not any(inner for _, inner in blocks(body)):
            head = ",".join(each for each in split(head, ",") if names.meet(each))
            declarations = split(body, ";") if head else ()
            body = ";".join(
                re.sub(r"^([\w-]+) *: *", r"\1:", each)
                for each in declarations
                if not each.startswith("--") or each.split(":")[0].strip() in mentioned
            )
        if body:
            kept.append(f"{head}{{{body}}}")
    return "".join(kept)


def purge(css, pages, scripts):
    """Leave out what nothing on the pages, now or by their scripts, can use."""
    names = Names(pages, scripts)
    css = re.sub(f"({STRING})|\\s+", lambda blank: blank[1] or " ", css)
    before = None
    while before != css:
        before = css
        # what anything asks for: variables where they are not set, fonts and animations
        asked = re.sub(r"@font-face ?{[^}]*}|@[\w-]*keyframes [\w-]+|--[\w-]+ ?:", "", css)
        asked = re.sub(r"[\"'\\]", "", asked + scripts) + "".join(re.findall(r"--[\w-]+\)", pages))
        css = _pass(css, names, asked)
    return css
