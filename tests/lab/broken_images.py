#!/usr/bin/env python3
"""Images that are missing, are no kernels, crash, give up, never become ready or talk too much: each failure is told in
words, and the other services go on."""

import contextlib
import os
import time

import images
import lab

lab.need("qemu-system-x86_64")

PATIENCE = "60"
GOOD = images.kernel(images.put("jitsu: entered\njitsu: ready\n") + images.HALT, announces=True)


@contextlib.contextmanager
def serving(files, **settings):
    """A daemon with service broken.lab.example of those settings, whose image is file "image", and a good one beside it."""
    services = [{"name": "broken.lab.example", "ports": [80], "memory": "8M", "image": "image", **settings},
                {"name": "good.lab.example", "ports": [80], "memory": "8M", "image": "good"}]
    with lab.Daemon(services=services, files={"good": GOOD, **files}) as daemon:
        yield daemon
        daemon.ctl("start", "good.lab.example")
        daemon.ctl("wait", "good.lab.example", "--for", "running", "--timeout", PATIENCE)


def failure(daemon):
    """Starts the broken service; returns why that failed."""
    daemon.ctl("start", "broken.lab.example", check=False)
    daemon.ctl("wait", "broken.lab.example", "--for", "failed", "--timeout", PATIENCE)
    why = daemon.status("broken.lab.example")["error"]
    print(f"  {why}")
    lab.wait_until(lambda: not daemon.machines("broken.lab.example"), "its process is gone")
    return why


def expect_failure(image, *words, **settings):
    files = {} if image is None else {"image": image}
    with serving(files, **settings) as daemon:
        why = failure(daemon)
        for word in words:
            assert word in why, (word, why)


def a_missing_image_is_named():
    expect_failure(None, "/image", "No such file")


def what_is_no_kernel_is_refused():
    expect_failure(b"#!/bin/sh\n", "/image", "not a kernel")
    expect_failure(b"", "is empty")


def an_elf_file_without_a_pvh_entry_is_refused():
    expect_failure(images.kernel(images.HALT, pvh=False), "not a PVH kernel")


def a_cut_off_image_is_refused():
    expect_failure(images.kernel(images.HALT)[:4100], "is cut off")


def an_image_larger_than_the_memory_is_refused():
    expect_failure(images.kernel(images.HALT, memory=64 << 20), "memory")


def a_machine_that_crashes_leaves_its_last_words():
    expect_failure(images.kernel(images.put("jitsu: entered\nabout to crash\n") + images.CRASH, announces=True),
                   "about to crash")


def a_unikernel_that_gives_up_says_why():
    expect_failure(images.kernel(images.put("jitsu: fatal: no room for the site\n") + images.give_up(), announces=True),
                   "no room for the site")


def a_machine_that_is_never_ready_is_ended():
    expect_failure(images.kernel(images.put("jitsu: entered\n") + images.HALT, announces=True), "boot-timeout",
                   **{"boot-timeout": "500ms"})


def a_port_that_never_answers_is_not_ready():
    expect_failure(images.kernel(images.HALT), "boot-timeout", **{"boot-timeout": "500ms", "ready": "tcp:80"})


def nothing_that_could_tell_readiness_is_an_error():
    expect_failure(images.kernel(images.HALT), "ready", ports=[])


def a_machine_that_dies_after_it_was_ready_is_failed():
    wait = b"\xb9\x00\x00\x00\x08\x49\x75\xfd"  # mov ecx, 0x8000000; again: dec ecx; jnz again
    with serving({"image": images.kernel(images.put("jitsu: ready\n") + wait + images.CRASH, announces=True)}) as daemon:
        daemon.ctl("start", "broken.lab.example")
        daemon.ctl("wait", "broken.lab.example", "--for", "failed", "--timeout", PATIENCE)
        states = [event["to"] for event in daemon.events("broken.lab.example")]
        assert "running" in states, states


def a_prompt_without_a_line_break_is_readiness():
    with serving({"image": images.kernel(images.put("welcome\r\nlogin: ") + images.HALT)}, ready="console:login:") as daemon:
        daemon.ctl("start", "broken.lab.example")
        daemon.ctl("wait", "broken.lab.example", "--for", "running", "--timeout", PATIENCE)


def time_is_readiness_with_and_without_a_spare():
    for spares in (0, 1):
        with serving({"image": images.kernel(images.HALT)}, ready="after:50ms", prewarm=spares) as daemon:
            daemon.wait_for_spares("broken.lab.example")
            begin = time.monotonic()
            daemon.ctl("start", "broken.lab.example")
            daemon.ctl("wait", "broken.lab.example", "--for", "running", "--timeout", PATIENCE)
            assert time.monotonic() - begin >= 0.05


def a_changed_image_is_what_starts_although_a_spare_has_the_old_one():
    old = images.kernel(images.put("jitsu: ready\nold one\n") + images.HALT, announces=True)
    new = images.kernel(images.put("jitsu: ready\nnew one\n") + images.HALT, announces=True)
    with serving({"image": old}, prewarm=1) as daemon:
        daemon.wait_for_spares("broken.lab.example")
        path = daemon.write("image.new", new)
        os.rename(path, os.path.join(daemon.directory, "image"))
        daemon.ctl("start", "broken.lab.example")
        daemon.ctl("wait", "broken.lab.example", "--for", "running", "--timeout", PATIENCE)
        lab.wait_until(lambda: "new one" in daemon.log(), "the new image prints")
        assert "console: old one" not in daemon.log()
        # The spare with the old image is gone, not left as a zombie.
        keeper = daemon.role("keeper")
        lab.wait_until(lambda: not [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                                    if lab.parent_of(pid) == keeper and lab.state_of(pid) == "Z"], "no zombies")


def a_machine_that_talks_without_end_floods_nobody():
    image = images.kernel(images.put("jitsu: ready\n") + images.chatter("x" * 60 + "\n"), announces=True)
    with serving({"image": image}, **{"idle": "10m"}) as daemon:
        daemon.ctl("start", "broken.lab.example")
        daemon.ctl("wait", "broken.lab.example", "--for", "running", "--timeout", PATIENCE)
        lab.wait_until(lambda: "prints too much" in daemon.log(), "jitsud drops some of it")
        daemon.ctl("stop", "broken.lab.example")
        daemon.ctl("wait", "broken.lab.example", "--for", "off", "--timeout", PATIENCE)


def starts_and_stops_leave_no_descriptors_behind():
    with serving({"image": GOOD}) as daemon:
        keeper = daemon.role("keeper")

        def run():
            daemon.ctl("start", "broken.lab.example")
            daemon.ctl("wait", "broken.lab.example", "--for", "running", "--timeout", PATIENCE)
            daemon.ctl("stop", "broken.lab.example")
            daemon.ctl("wait", "broken.lab.example", "--for", "off", "--timeout", PATIENCE)
            return len(os.listdir(f"/proc/{keeper}/fd"))

        first = run()
        assert [run() for _ in range(5)] == [first] * 5


if __name__ == "__main__":
    lab.run(a_missing_image_is_named,
            what_is_no_kernel_is_refused,
            an_elf_file_without_a_pvh_entry_is_refused,
            a_cut_off_image_is_refused,
            an_image_larger_than_the_memory_is_refused,
            a_machine_that_crashes_leaves_its_last_words,
            a_unikernel_that_gives_up_says_why,
            a_machine_that_is_never_ready_is_ended,
            a_port_that_never_answers_is_not_ready,
            nothing_that_could_tell_readiness_is_an_error,
            a_machine_that_dies_after_it_was_ready_is_failed,
            a_prompt_without_a_line_break_is_readiness,
            time_is_readiness_with_and_without_a_spare,
            a_changed_image_is_what_starts_although_a_spare_has_the_old_one,
            a_machine_that_talks_without_end_floods_nobody,
            starts_and_stops_leave_no_descriptors_behind)
