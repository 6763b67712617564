"""A request of 10 KB of which every byte counts: many small ones on one connection, each for one byte of a file of the site, and
each answer says which it was."""

import archives

CONTENTS = bytes(number * number >> 3 & 255 for number in range(5000))
SITE = archives.cpio({"contents": CONTENTS})
PLACES = [number * 37 % len(CONTENTS) for number in range(180)]
REQUEST = b"".join(b"GET /contents HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n" % (place, place) for place in PLACES)
REQUEST = REQUEST[:-2] + b"Connection: close\r\n\r\n"


def check_answer(answer):
    for place in PLACES:
        head, _, answer = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 206 ") and f" {place}-{place}/".encode() in head, f"{place}: {head}"
        assert answer[0] == CONTENTS[place], f"{place}: {answer[:20]}"
        answer = answer[1:]
    assert not answer, answer
