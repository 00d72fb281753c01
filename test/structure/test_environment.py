"""Variables that scripts and tests read are not taken for fields of the configuration, nor warned about."""

import os
import re
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READ = re.compile(r"""(?:getenv\("|environ(?:\.get\(|\[)["']|\$\{?)(KVROUTE_[A-Z0-9_]+)""")


def read_by(folders, keep):
    found = {}
    for folder in folders:
        for path, _, names in os.walk(os.path.join(SOURCE, folder)):
            for name in names:
                if keep(name):
                    full = os.path.join(path, name)
                    with open(full, encoding="utf-8", errors="replace") as file:
                        for variable in READ.findall(file.read()):
                            found.setdefault(variable, os.path.relpath(full, SOURCE))
    return found


class EnvironmentTest(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(SOURCE, "router/config/environment.cc"), encoding="utf-8") as file:
            table = re.search(r"kOfScripts = \{(.*?)\};", file.read(), re.DOTALL)[1]
        self.begins = re.findall(r'"(KVROUTE_\w+)"', table)

    def test_what_scripts_and_tests_read_is_passed_over(self):
        variables = read_by(["scripts"], lambda name: True)
        variables.update(read_by(["test", "tools/regression"], lambda name: name.endswith((".cc", ".h", ".py"))))
        fields = {row for row in self.fields()}
        for variable, where in sorted(variables.items()):
            known = any(variable.startswith(begin) for begin in self.begins) or variable in fields
            self.assertTrue(known, f"{variable} of {where} is neither a field's nor in kOfScripts")

    def test_no_field_is_passed_over(self):
        for field in self.fields():
            for begin in self.begins:
                self.assertFalse(field.startswith(begin), f"{field} begins with {begin}")

    @staticmethod
    def fields():
        with open(os.path.join(SOURCE, "docs/configuration.md"), encoding="utf-8") as file:
            paths = re.findall(r"^\| `([a-z0-9_.]+)` \|", file.read(), re.MULTILINE)
        return ["KVROUTE_" + path.upper().replace(".", "_") for path in paths]


if __name__ == "__main__":
    unittest.main()
