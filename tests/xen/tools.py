#!/usr/bin/env python3
"""In dom0: Xen's tools work, and so do the programs that were built."""

import os
import subprocess


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


assert "Domain-0" in output("xl", "list")
assert "hvm" in output("xl", "info"), "no machines in PVH mode: the processor has no SVM"
assert "jitsud" in output(os.environ["JITSUD"], "-V")
assert "jitsuctl" in output(os.environ["JITSUCTL"], "--help")
print("Xen's tools, jitsud and jitsuctl run in dom0")
