"""Authorities, and certificates and keys that they sign, made by openssl."""

import os
import subprocess

CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = optional
organizationalUnitName = optional
[authority_below]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[both]
basicConstraints = CA:FALSE
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
[request]
distinguished_name = name
[name]
"""

EC = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
EC384 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]
RSA = ["rsa:2048"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Identity:
    """A certificate with its key, in files. With `authority` it signs others."""

    def __init__(self, directory, name, kind):
        self.directory = os.path.join(directory, name.replace(" ", "-"))
        self.name = name
        self.kind = kind
        os.mkdir(self.directory)
        self.certificate = os.path.join(self.directory, "cert.pem")
        self.key = os.path.join(self.directory, "key.pem")
        self.configuration = os.path.join(self.directory, "configuration")
        self.chain = []
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(directory=self.directory))
        with open(os.path.join(self.directory, "index.txt"), "w"):
            pass

    def text(self, kind="certificate"):
        with open(getattr(self, kind), "rb") as file:
            return file.read()

    def sign(self, name, kind=None, purpose="both", start="20200101000000Z", end="20490101000000Z",
             subject=None):
        """An identity that this one, an authority, vouches for."""
        made = Identity(os.path.dirname(self.directory), name, kind or self.kind)
        request = os.path.join(made.directory, "request")
        openssl("req", "-new", "-config", self.configuration, "-section", "request", "-subj", subject or f"/CN={name}", "-nodes",
                "-newkey", *made.kind, "-keyout", made.key, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", self.configuration, "-cert", self.certificate, "-keyfile", self.key,
                "-in", request, "-out", made.certificate, "-startdate", start, "-enddate", end, "-extensions", purpose)
        if self.chain or self.is_below:
            made.chain = [self, *self.chain]
            with open(made.certificate, "ab") as file:
                file.write(self.text())
        return made

    is_below = False

    def sign_authority(self, name):
        below = self.sign(name, purpose="authority_below")
        below.is_below = True
        return below


def self_signed(directory, name, kind=EC, is_authority=True):
    made = Identity(directory, name, kind)
    openssl("req", "-x509", "-config", made.configuration, "-section", "request", "-subj", f"/CN={name}", "-nodes",
            "-newkey", *kind, "-keyout", made.key, "-out", made.certificate, "-days", "30",
            "-extensions", "authority_below" if is_authority else "both")
    return made
