"""The part of the build that pyproject.toml cannot say: messages, stubs and typed methods are generated from the .proto files of the repository."""
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class Build(build_py):
    def run(self):
        super().run()
        here = Path(__file__).resolve().parent
        # a process of its own: it imports what it has just generated
        subprocess.run([sys.executable, str(here / "generate.py"), str(here.parent.parent / "proto"), self.build_lib], check=True)


setup(cmdclass={"build_py": Build})
