#!/usr/bin/env python3
"""Whatever goes wrong in a machine, it says so in words and ends: mistakes of programs, one of each kind (the image `faults`
makes them), faults while a fault is reported and before faults can be. jitsud tells why. Memory that runs out under load
ends nothing."""

import os
import re
import selectors
import subprocess
import tempfile

import lab
from archives import cpio
from machine import Machine

FAULTS = lab.image("faults.elf")
WWW = lab.image("www.elf")

STATUS_FATAL = 33
STATUS_RESET = 0

# What the console says of each kind of mistake.
REASONS = {
    "read-null": r"read through a null pointer \(address 0\) at [0-9a-f]+",
    "write-null": r"write through a null pointer \(address 8\) at [0-9a-f]+",
    "call-null": r"call through a null pointer \(address 0\) at 0",
    "write-code": r"write to code \(address 10[0-9a-f]+\) at [0-9a-f]+",
    "write-constant": r"write to constants \(address 1[0-9a-f]+\) at [0-9a-f]+",
    "run-data": r"execution of data \(address 1[0-9a-f]+\) at [0-9a-f]+",
    "run-stack": r"execution of the stack \(address 1[0-9a-f]+\) at [0-9a-f]+",
    "run-heap": r"execution of the heap \(address [0-9a-f]+\) at [0-9a-f]+",
    "read-unmapped": r"read of memory that is not there \(address 90000000\) at [0-9a-f]+",
    "jump-unmapped": r"execution of memory that is not there \(address 90000000\) at 90000000",
    "jump-wild": r"wild address, or data that is not aligned, at 1234567890abcdef",
    "misalign": r"wild address, or data that is not aligned, at [0-9a-f]+",
    "divide": r"division by zero, or with too large a result, at [0-9a-f]+",
    "instruction": r"invalid instruction at [0-9a-f]+",
    "recurse": r"stack overflow at [0-9a-f]+",
    "large-frame": r"stack overflow at [0-9a-f]+",
    "lose-stack": r"(wild address, or data that is not aligned,|stack pointer out of bounds) at [0-9a-f]+",
    "smash": r"a function's buffer on the stack was overrun",
    "assert": r"assertion failed: zero == 1, apps/faults/faults\.c:[0-9]+",
    "abort": r"the program called abort\(\)",
    "network": r"a segment without an end",
    "memory": r"assertion failed: malloc\(2048\), apps/faults/faults\.c:[0-9]+",
    "free-twice": r"memory was freed twice, or written to beyond its end",
    "overrun-heap": r"memory was freed twice, or written to beyond its end",
}
REGISTERS = re.compile(rb"\n(?:r[a-z0-9]{1,2} +[0-9a-f]{16} ?){4}\n.*\nrip [0-9a-f]{16} flags ", re.S)


def run(image, options, memory=16):
    """Returns QEMU's exit status and what the console said."""
    with Machine(image, memory=memory, network=None, options=options) as machine:
        status = machine.wait_for_end()
        return status, machine.console.replace(b"\r", b"")


def each_mistake_is_told_in_words_and_ends_the_machine():
    for kind, reason in REASONS.items():
        status, console = run(FAULTS, f"fault={kind}")
        assert status == STATUS_FATAL, (kind, status, console)
        lines = re.findall(rb"^jitsu: fatal: (.*)$", console, re.M)
        assert len(lines) == 1 and re.fullmatch(reason, lines[0].decode()), (kind, console)
        assert REGISTERS.search(console), (kind, console)


def a_mistake_of_the_operator_is_told_in_one_printable_line():
    status, console = run(FAULTS, "fault=fail")
    assert status == STATUS_FATAL, status
    assert console.endswith(b"\njitsu: fatal: option taste=?sour: something else?is expected\n"), console


def memory_is_protected_as_the_page_tables_say():
    for memory in 8, 80:
        status, console = run(FAULTS, "fault=pages", memory)
        assert status == 0 and re.search(rb"^pages: \d+ mapped, \d+ writable, \d+ executable, none both$", console, re.M), console


def a_fault_while_one_is_reported_ends_the_machine():
    status, console = run(FAULTS, "fault=in-report")
    assert status == STATUS_FATAL, (status, console)


def a_fault_without_descriptor_tables_ends_the_machine():
    status, console = run(FAULTS, "fault=lose-tables")
    assert status == STATUS_RESET and b"fatal" not in console, (status, console)


def address_of(image, symbol):
    symbols = subprocess.run(["nm", f"{image}.debug"], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^([0-9a-f]+) \w {symbol}$", symbols, re.M).group(1), 16)


def file_offset(image, symbol):
    """Where in the file the code of a function lies."""
    address = address_of(image, symbol)
    headers = subprocess.run(["readelf", "-lW", image], capture_output=True, text=True, check=True).stdout
    for offset, start, size in re.findall(r"^\s*LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", headers, re.M):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return int(offset, 16) + address - int(start, 16)
    raise AssertionError(f"{symbol} lies in no segment")


def a_fault_at_the_very_start_ends_the_machine():
    with open(FAULTS, "rb") as file:
        image = file.read()
    for symbol in "pvh_entry", "machine_start":
        offset = file_offset(FAULTS, symbol)
        broken = os.path.join(directory, symbol)
        with open(broken, "wb") as file:
            file.write(image[:offset] + b"\x0f\x0b" + image[offset + 2:])  # ud2
        status, console = run(broken, "")
        assert status == STATUS_RESET and b"jitsu:" not in console, (symbol, status, console)


def too_little_memory_to_start_is_told():
    """However little it is, the machine is ready or has ended; and it can say what it had no memory for."""
    told = set()
    image = address_of(WWW, "image_end") // 1024
    for memory in range(image + 20, image + 420, 40):
        with Machine(WWW, memory=f"{memory}K") as machine:
            while b"jitsu: ready" not in machine.console and machine.read_console():
                pass
            if b"jitsu: ready" in machine.console:
                told.add("ready")
            else:
                status, reason = machine.wait_for_end(), re.search(rb"jitsu: fatal: (.*no (?:free )?memory.*?)\r?\n", machine.console)
                assert status == STATUS_FATAL and reason, (memory, status, machine.console)
                told.add(reason.group(1).decode())
    print(f"    {', '.join(sorted(told))}")
    assert "ready" in told and len(told) > 1, told


def request(machine, path):
    with machine.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def ask_from_many(machine, path, clients):
    """So many clients ask at once and take what they get. Returns the answers; "" of those who were refused."""
    answers = []
    selector = selectors.DefaultSelector()
    connections = [machine.connect() for _ in range(clients)]
    try:
        for connection in connections:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            events = selector.select(lab.PATIENCE)
            assert events, f"{len(selector.get_map())} of {clients} clients wait in vain"
            for key, _ in events:
                try:
                    piece = key.fileobj.recv(65536)
                except ConnectionResetError:
                    piece = b""
                    key.data.clear()
                key.data.extend(piece)
                if not piece:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    answers.append(bytes(key.data))
    finally:
        for connection in connections:
            connection.close()
    return answers


def machines_whose_memory_runs_out_go_on():
    """Answers that are copied take all the memory there is: some clients are told so or refused, none gets a wrong answer, and
    afterwards all is as before."""
    for left in 300_000, 1_200_000:
        with Machine(FAULTS, options=f"ip=10.0.2.15/24 gw=10.0.2.2 leave={left}", forwards=40) as machine:
            machine.wait_until_ready()
            whole = request(machine, "/memory?90000")
            assert b" 200 OK\r\n" in whole and len(whole) > 90000, whole[:100]
            for _ in range(2):
                answers = ask_from_many(machine, "/memory?90000", 40)
                good = sum(answer == whole for answer in answers)
                refused = sum(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
                reset = sum(answer == b"" for answer in answers)
                print(f"    {left} bytes: {good} answers, {refused} told to come again, {reset} reset")
                assert good > 0 and good + refused + reset == len(answers), [(len(answer), answer[:20]) for answer in answers]
            assert request(machine, "/memory?90000") == whole


def a_small_machine_serves_large_files_to_many():
    contents = os.urandom(1 << 20)
    ramdisk = os.path.join(directory, "site")
    with open(ramdisk, "wb") as file:
        file.write(cpio({"large": contents}))
    with Machine(WWW, memory=8, ramdisk=ramdisk, forwards=40) as machine:
        machine.wait_until_ready()
        answers = ask_from_many(machine, "/large", 100)
        good = sum(answer.endswith(b"\r\n\r\n" + contents) for answer in answers)
        assert good == 100, f"{good} of 100 got the file"


def jitsud_tells_why_a_machine_died():
    reasons = {"divide": "division by zero", "recurse": "stack overflow", "assert": "assertion failed: zero == 1"}
    services = [{"name": f"{kind}.lab.example", "ports": [80], "memory": "16M", "image": FAULTS} for kind in reasons]
    with lab.Daemon(services=services) as daemon:
        for kind, reason in reasons.items():
            name = f"{kind}.lab.example"
            done = daemon.curl(f"http://{daemon.address(name)}/{kind}", check=False)
            assert done.returncode != 0, done.stdout
            daemon.wait_for(name, "failed")
            error = daemon.status(name)["error"]
            print(f"    {error}")
            assert reason in error, error
            lab.wait_until(lambda: not daemon.machines(name), "its process is gone")
            assert "running" in [event["to"] for event in daemon.events(name)]


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    lab.run(each_mistake_is_told_in_words_and_ends_the_machine,
            a_mistake_of_the_operator_is_told_in_one_printable_line,
            memory_is_protected_as_the_page_tables_say,
            a_fault_while_one_is_reported_ends_the_machine,
            a_fault_without_descriptor_tables_ends_the_machine,
            a_fault_at_the_very_start_ends_the_machine,
            too_little_memory_to_start_is_told,
            machines_whose_memory_runs_out_go_on,
            a_small_machine_serves_large_files_to_many,
            jitsud_tells_why_a_machine_died)
