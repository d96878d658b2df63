"""Write book/bibliography.md, which lists what book/references.bib holds, as it is cited.

``python tools/bibliography.py`` does it. Each work has a heading like "Goodfellow et al. (2014)", whose anchor,
``bibliography.md#goodfellow-et-al-2014``, works on the site, on GitHub and in JupyterLab alike.
"""

import re

import common

SOURCE = common.ROOT / "book" / "references.bib"
PAGE = common.ROOT / "book" / "bibliography.md"


def text(latex: str) -> str:
    """Return a field of the file as plain text."""
    from pybtex.richtext import Text

    return Text.from_latex(latex).render_as("text")


def label(entry) -> str:
    """Return how a work is cited: Ho and Ermon (2016), Goodfellow et al. (2014)."""
    names = [text(" ".join(person.prelast_names + person.last_names)) for person in entry.persons["author"]]
    several = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{several} ({entry.fields['year']})"


def labels() -> dict[str, str]:
    """Return the label of each work by its key; a letter tells apart those that would share one."""
    from pybtex.database import parse_file

    entries = parse_file(str(SOURCE)).entries
    found: dict[str, list[str]] = {}
    for key in sorted(entries):
        found.setdefault(label(entries[key]), []).append(key)
    marked = {}
    for name, keys in found.items():
        for letter, key in zip("abcdefgh", keys, strict=False):
            marked[key] = name if len(keys) == 1 else f"{name[:-1]}{letter})"
    return marked


def anchor(heading: str) -> str:
    """Return the anchor that GitHub and MyST give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def item(heading: str, entry) -> str:
    """Return the heading and the text of a work."""
    fields = {name: text(value) for name, value in entry.fields.items() if name != "url"}
    authors = entry.persons["author"]
    people = [text(" ".join(p.first_names + p.middle_names + p.prelast_names + p.last_names)) for p in authors]
    names = ", ".join(people[:-1]) + (" and " if len(people) > 1 else "") + people[-1]
    title = f"[{fields['title']}]({entry.fields['url']})" if "url" in entry.fields else fields["title"]
    where = (
        fields.get("booktitle") or fields.get("journal") or fields.get("publisher") or fields.get("howpublished", "")
    )
    where = f" *{where}*" if where else ""
    volume = f" {fields['volume']}" if "volume" in fields else ""
    pages = f", pages {fields['pages'].replace('--', '–')}" if "pages" in fields else ""
    note = f" {fields['note']}." if "note" in fields else ""
    rest = f"{where}{volume}{pages}".rstrip(".")
    return f"## {heading}\n\n{names.rstrip('.')}. {title}.{rest}{'.' if rest else ''}{note}\n"


def page() -> str:
    """Return the whole page."""
    from pybtex.database import parse_file

    entries = parse_file(str(SOURCE)).entries
    works = sorted(labels().items(), key=lambda work: work[1].lower())
    return "# References\n\n" + "\n".join(item(heading, entries[key]) for key, heading in works)


def main() -> None:
    common.Parser(__doc__).parse_args()
    common.write(PAGE, page())


if __name__ == "__main__":
    main()
