"""A name means one type: two of one name and namespace are the same to the linker, which takes the functions of either for both."""

import collections
import re
import unittest

import pages

OPENED = re.compile(r"^(?:inline )?namespace(?: ([\w:]+))? \{")
CLOSED = re.compile(r"^\}  // namespace\b")
DEFINED = re.compile(r"^(?:struct|class|enum class|enum|union)(?: (?:ABSL|KVROUTE)_\w+(?:\([^)]*\))?)* (\w+)(?: final)?(?: : [^;]*)? \{")


def types(text):
    """Qualified names of the types that are defined at the level of a namespace with a name."""
    inside, found = [], []
    for line in text.splitlines():
        if opened := OPENED.match(line):
            inside.append(opened[1] or "")
        elif CLOSED.match(line):
            inside.pop()
        elif (defined := DEFINED.match(line)) and all(inside):
            found.append("::".join(inside + [defined[1]]))
    return found


class TypesTest(unittest.TestCase):
    def test_no_two_have_one_name(self):
        places = collections.defaultdict(list)
        for path in pages.files():
            if path.endswith((".h", ".cc")):
                for name in types(pages.read(path)):
                    places[name].append(path)
        self.assertEqual({name: paths for name, paths in places.items() if len(paths) > 1}, {})


class PlantedTest(unittest.TestCase):
    def test_types_are_found(self):
        text = ("namespace kvroute {\nstruct A {\n};\nclass B final : public C {\n};\nclass ABSL_LOCKABLE D {\n  struct E {\n  };\n};\nenum class F : int {\n};\n"
                "class Later;\nnamespace {\nstruct Own {\n};\n}  // namespace\nnamespace in {\nstruct A {\n};\n}  // namespace in\n}  // namespace kvroute\n")
        self.assertEqual(types(text), ["kvroute::A", "kvroute::B", "kvroute::D", "kvroute::F", "kvroute::in::A"])


if __name__ == "__main__":
    unittest.main()
