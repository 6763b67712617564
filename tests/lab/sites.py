"""Sites for machines that serve one each: archives in one directory, packed as an operator would."""

import os
import subprocess

import lab


def make_sites(directory, labels):
    for label in labels:
        site = os.path.join(directory, label)
        os.makedirs(site)
        with open(os.path.join(site, "index.html"), "w") as page:
            page.write(f"this is {label}\n")
        subprocess.run([lab.JITSUCTL, "pack", site, "-o", site + ".cpio"], check=True, stdout=subprocess.DEVNULL)
