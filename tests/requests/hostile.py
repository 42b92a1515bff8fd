"""Writes certificate requests that no honest client would send.

    hostile.py DIRECTORY

Each is a PEM file NAME.csr; the names say what is wrong. Where a signature is
possible it is a right one, so that only the named fault can be the reason to refuse.
The DER is put together by hand here, since no library wants to.
"""

import base64
import hashlib
import math
import os
import secrets
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# --- DER -------------------------------------------------------------------


def tlv(tag, *content):
    body = b"".join(content)
    length = len(body)
    if length < 128:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def sequence(*content):
    return tlv(0x30, *content)


def set_of(*content):
    return tlv(0x31, *content)


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(content):
    return tlv(0x03, b"\0", content)


def octets(content):
    return tlv(0x04, content)


def utf8(text):
    return tlv(0x0C, text if isinstance(text, bytes) else text.encode())


def ia5(text):
    return tlv(0x16, text.encode())


def oid(dotted):
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = bytearray()
    for number in (first * 40 + second, *rest):
        group = [number & 0x7F]
        while number := number >> 7:
            group.append(0x80 | number & 0x7F)
        body += bytes(reversed(group))
    return tlv(0x06, bytes(body))


NULL = tlv(0x05)
TRUE = tlv(0x01, b"\xff")
RSA_ENCRYPTION = sequence(oid("1.2.840.113549.1.1.1"), NULL)
SHA256_RSA = sequence(oid("1.2.840.113549.1.1.11"), NULL)
ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))
P256 = sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"))

# --- requests --------------------------------------------------------------


def name(*pairs):
    return sequence(*(set_of(sequence(oid(kind), value)) for kind, value in pairs))


def extension(kind, value, critical=False):
    return sequence(oid(kind), TRUE if critical else b"", octets(value))


def attribute(kind, *values):
    return sequence(oid(kind), set_of(*values))


def extension_request(*extensions):
    return attribute("1.2.840.113549.1.9.14", sequence(*extensions))


PLAIN = name(("2.5.4.3", utf8("whoever asks")))


def request(spki, sign, algorithm, subject=PLAIN, attributes=()):
    info = sequence(integer(0), subject, spki, tlv(0xA0, *attributes))
    return sequence(info, algorithm, bits(sign(info)))


class EcKey:
    algorithm = ECDSA_SHA256

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message):
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


class RsaKey:
    """RSA from any numbers, sound or not."""

    algorithm = SHA256_RSA

    def __init__(self, primes, exponent=65537):
        self.modulus = math.prod(primes)
        self.exponent = exponent
        order = math.lcm(*(prime - 1 for prime in primes))
        # Without an inverse nobody can sign; the fault is in the key anyway.
        self.secret = pow(exponent, -1, order) if math.gcd(exponent, order) == 1 else 1
        key = sequence(integer(self.modulus), integer(exponent))
        self.spki = sequence(RSA_ENCRYPTION, bits(key))

    def sign(self, message):
        length = (self.modulus.bit_length() + 7) // 8
        info = sequence(sequence(oid("2.16.840.1.101.3.4.2.1"), NULL), octets(hashlib.sha256(message).digest()))
        padded = b"\0\1" + b"\xff" * (length - len(info) - 3) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), self.secret, self.modulus).to_bytes(length, "big")


def by(key, **more):
    return request(key.spki, key.sign, key.algorithm, **more)


# --- primes ----------------------------------------------------------------

SMALL = [n for n in range(2, 2000) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def is_prime(number):
    if any(number % small == 0 for small in SMALL):
        return number in SMALL
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        x = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True


def next_prime(number):
    number |= 1
    while not is_prime(number):
        number += 2
    return number


def prime(size):
    # The two highest bits set, so that two of them make a modulus of full size.
    return next_prime(secrets.randbits(size) | 3 << (size - 2))


def of_size(size, make):
    """Primes whose product has exactly this many bits."""
    while math.prod(primes := make()).bit_length() != size:
        pass
    return primes


def roca_prime(size):
    """A prime as the Infineon library made them (CVE-2017-15361)."""
    base = math.prod(SMALL[:126])
    while True:
        factor = secrets.randbelow((1 << size) // base)
        candidate = factor * base + pow(65537, secrets.randbelow(1 << 64), base)
        if candidate.bit_length() == size and candidate >> (size - 2) == 3 and is_prime(candidate):
            return candidate


# --- the collection --------------------------------------------------------


def greedy_extensions():
    """Everything that a requester might want and must not get."""
    everything = [
        extension("2.5.29.19", sequence(TRUE, integer(5)), True),  # CA:TRUE
        extension("2.5.29.15", tlv(0x03, b"\x01\xfe"), True),  # every key usage
        extension("2.5.29.37", sequence(*(oid(f"1.3.6.1.5.5.7.3.{n}") for n in (1, 2, 3, 4, 8, 9)), oid("2.5.29.37.0"))),
        extension("2.5.29.17", sequence(
            tlv(0x81, b"ceo@example.test"), tlv(0x82, b"mail.example.test"), tlv(0x86, b"https://example.test/"),
            tlv(0x87, bytes([127, 0, 0, 1])), tlv(0x88, oid("1.2.3.4")[2:]), tlv(0xA4, PLAIN),
            tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, utf8("ceo@example.test"))),
        )),
        extension("2.5.29.18", sequence(tlv(0x81, b"ca@example.test"))),
        extension("2.5.29.14", octets(b"\x66" * 20)),
        extension("2.5.29.35", sequence(tlv(0x80, b"\x66" * 20))),
        extension("2.5.29.32", sequence(sequence(oid("2.5.29.32.0")), sequence(oid("2.23.140.1.5.4.3")))),
        extension("2.5.29.30", sequence(tlv(0xA0, sequence(tlv(0x81, b"example.test")))), True),
        extension("2.5.29.31", sequence(sequence(tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://evil.test/crl")))))),
        extension("2.5.29.36", sequence(tlv(0x80, b"\0"))),
        extension("2.5.29.9", sequence(attribute("2.5.4.3", utf8("role: administrator")))),
        extension("1.3.6.1.5.5.7.1.1", sequence(sequence(oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, b"http://evil.test/")))),
        extension("1.3.6.1.5.5.7.48.1.5", NULL),  # OCSP no check
        extension("1.3.6.1.5.5.7.1.24", sequence(integer(5))),  # TLS feature
        extension("1.2.840.113549.1.9.15", sequence(sequence(oid("1.2.840.113549.3.2")))),  # RC2 preferred
        extension("1.3.6.1.4.1.311.20.2", tlv(0x1E, "SubCA".encode("utf-16-be"))),  # AD CS template
        extension("1.3.6.1.4.1.311.25.2", sequence(tlv(0xA0, oid("1.3.6.1.4.1.311.25.2.1"), tlv(0xA0, octets(b"S-1-5-21-500"))))),
        extension("2.16.840.1.113730.1.1", tlv(0x03, b"\x00\xff")),  # Netscape certificate type
        extension("1.2.3.4.5.6", utf8("nobody knows this"), True),
    ]
    return everything


def collection():
    plain = EcKey()
    yield "plain", by(plain)

    # Escape from the template.
    yield "greedy", by(EcKey(), subject=name(
        ("2.5.4.6", tlv(0x13, b"DE")), ("2.5.4.10", utf8("Another Company")), ("2.5.4.3", utf8("Chief Executive")),
        ("2.5.4.3", utf8("Example root CA")), ("1.2.840.113549.1.9.1", ia5("ceo@example.test")),
        ("0.9.2342.19200300.100.1.1", utf8("ceo")), ("2.5.4.5", tlv(0x13, b"1")),
    ), attributes=[
        extension_request(*greedy_extensions()),
        attribute("1.2.840.113549.1.9.7", utf8("challenge password")),
        attribute("1.2.840.113549.1.9.2", utf8("unstructured name")),
        attribute("1.3.6.1.4.1.311.13.2.1", sequence(tlv(0x1E, "CertificateTemplate".encode("utf-16-be")), tlv(0x1E, "SubCA".encode("utf-16-be")))),
    ])
    yield "duplicates", by(EcKey(), attributes=[
        extension_request(*greedy_extensions(), *greedy_extensions()),
        extension_request(*greedy_extensions()),
    ])
    yield "microsoft-extensions", by(EcKey(), attributes=[
        attribute("1.3.6.1.4.1.311.2.1.14", sequence(*greedy_extensions())),
    ])
    yield "empty-subject", by(EcKey(), subject=sequence())
    yield "empty-extensions", by(EcKey(), attributes=[extension_request(extension("2.5.29.37", sequence()), extension("2.5.29.17", sequence()))])

    # No possession.
    victim = EcKey()
    yield "signed-by-another-key", request(victim.spki, EcKey().sign, ECDSA_SHA256)
    forged = bytearray(by(EcKey()))
    forged[-5] ^= 1
    yield "forged-signature", bytes(forged)
    yield "empty-signature", request(victim.spki, lambda _: b"", ECDSA_SHA256)

    # RSA keys.
    p, q = prime(1024), prime(1024)
    yield "rsa-exponent-1", by(RsaKey([p, q], 1))
    yield "rsa-exponent-3", by(RsaKey([next(r for r in iter(lambda: prime(1024), 0) if r % 3 == 2) for _ in range(2)], 3))
    yield "rsa-exponent-even", by(RsaKey([p, q], 65538))
    yield "rsa-exponent-huge", by(RsaKey([p, q], (1 << 300) + 1))
    yield "rsa-1024", by(RsaKey([prime(512), prime(512)]))
    yield "rsa-2047", by(RsaKey(of_size(2047, lambda: [prime(1023), prime(1024)])))
    yield "rsa-roca", by(RsaKey([roca_prime(1024), roca_prime(1024)]))
    yield "rsa-close-primes", by(RsaKey([p, next_prime(p + 2)]))
    yield "rsa-small-factor", by(RsaKey(of_size(2048, lambda: [743, prime(1024), next_prime(secrets.randbits(1015) | 1 << 1014)])))
    yield "rsa-even-modulus", by(RsaKey(of_size(2048, lambda: [2, prime(1024), prime(1023)])))

    # EC keys.
    point = victim.spki[-65:]
    off_curve = point[:-1] + bytes([point[-1] ^ 1])

    def ec_request(algorithm, public):
        return request(sequence(algorithm, bits(public)), victim.sign, ECDSA_SHA256)

    yield "ec-off-the-curve", ec_request(P256, off_curve)
    yield "ec-infinity", ec_request(P256, b"\0")
    yield "ec-empty-point", ec_request(P256, b"")
    yield "ec-zero-point", ec_request(P256, b"\x04" + bytes(64))
    order = 2**256 - 2**224 + 2**192 + 2**96 - 1
    yield "ec-coordinate-too-large", ec_request(P256, b"\x04" + order.to_bytes(32, "big") + bytes(32))
    yield "ec-unknown-curve", ec_request(sequence(oid("1.2.840.10045.2.1"), oid("1.3.36.3.3.2.8.1.1.7")), point)
    yield "unknown-algorithm", ec_request(sequence(oid("1.2.3.4.5")), point)

    # Not a request.
    whole = by(EcKey())
    yield "truncated", whole[: len(whole) // 2]
    yield "trailing-bytes", whole + b"\0\0"
    yield "huge-length", b"\x30\x84\xff\xff\xff\xff" + whole[4:]
    yield "deep", b"\x30\x80" * 50_000
    yield "indefinite-length", b"\x30\x80" + whole[4:] + b"\0\0"
    yield "empty-sequence", sequence()


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    for label, der in collection():
        text = base64.encodebytes(der).decode().replace("\n", "")
        lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        with open(os.path.join(directory, f"{label}.csr"), "w") as file:
            file.write(f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n")


if __name__ == "__main__":
    main()
