"""What dnspython says of SMIMEA records.

    smimea.py zone FILE ADDRESS...      records of a zone file
    smimea.py ask PORT ADDRESS...       records that a server answers with

For each address a line: its name's records as SHA-256 of their data, sorted.
"""

import hashlib
import sys

import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.zone


def name_of(address):
    local, domain = address.rsplit("@", 1)
    digest = hashlib.sha256(local.encode()).digest()[:28].hex()
    return dns.name.from_text(f"{digest}._smimecert.{domain}.")


def from_zone(path):
    with open(path) as file:
        records = file.read()
    origin = dns.name.from_text("example.test.")
    head = "@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\n"
    zone = dns.zone.from_text(head + records, origin=origin, relativize=False)
    return lambda name: zone.get_rdataset(name, dns.rdatatype.SMIMEA) or []


def from_server(port):
    def ask(name):
        query = dns.message.make_query(name, dns.rdatatype.SMIMEA)
        answer = dns.query.tcp(query, "127.0.0.1", port=port, timeout=10)
        found = answer.get_rrset(answer.answer, name, 1, dns.rdatatype.SMIMEA)
        return found or []

    return ask


def main():
    kind, where, *addresses = sys.argv[1:]
    records = from_zone(where) if kind == "zone" else from_server(int(where))
    for address in addresses:
        found = records(name_of(address))
        for record in found:
            assert (record.usage, record.selector, record.mtype) == (3, 0, 0), record
        print(address, *sorted(hashlib.sha256(record.cert).hexdigest() for record in found))


main()
