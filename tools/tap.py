"""TAP output for the checks that are written in Python."""


class Tap:
    """Counts and prints results; finish() prints the plan and gives the exit status."""

    def __init__(self):
        self.run = 0
        self.failed = 0

    def ok(self, passed, what, detail=()):
        self.run += 1
        print(f"{'ok' if passed else 'not ok'} {self.run} - {what}")
        if not passed:
            self.failed += 1
            for line in detail:
                print(f"#   {line}")
        return passed

    def none(self, problems, what):
        """Passes when the list of problems is empty, and prints them otherwise."""
        return self.ok(not problems, what, problems)

    def skip(self, what):
        self.run += 1
        print(f"ok {self.run} # SKIP {what}")

    def finish(self):
        print(f"1..{self.run}")
        return 1 if self.failed else 0
