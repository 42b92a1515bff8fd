"""Lints many certificates, CRLs and chains in one process.

    lint_all.py JOBS.json        (or - for standard input)

JOBS is a list of objects with `name`, `linter` and the files that it wants:

    smime    file             CA/B Forum S/MIME BR; the type is read from the policy
    pkix     file             RFC 5280 certificate
    crl      file, type (CRL|ARL), profile (PKIX|BR)
    chain    issuer, subject  names, key identifiers, policies, signature
    ocsp     file             OCSP response

Prints a list of {name, linter, findings: [{severity, code, path, message}]} with
the findings of severity WARNING and above. A job that cannot be done at all has
one finding of severity FATAL.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

from pkilint import document, loader, pkix, validation  # noqa: E402
from pkilint.bin import lint_pkix_signer_signee_cert_chain as chain_linter  # noqa: E402
from pkilint.cabf import cabf_crl, smime  # noqa: E402
from pkilint.pkix import certificate, crl, extension, name, ocsp  # noqa: E402

CERTIFICATE = loader.RFC5280CertificateDocumentLoader()
REVOCATION_LIST = loader.RFC5280CertificateListDocumentLoader()
RESPONSE = loader.RFC6960OCSPResponseDocumentLoader()
THRESHOLD = validation.ValidationFindingSeverity.WARNING


def load(kind, path, *more):
    with open(path, "rb") as file:
        return kind.load_document(file.read(), path, *more)


def lint_smime(job):
    subject = load(CERTIFICATE, job["file"])
    kind = smime.determine_validation_level_and_generation(subject)
    if kind is None:
        raise ValueError("no policy of the S/MIME Baseline Requirements in this certificate")
    return certificate.create_pkix_certificate_validator_container(
        smime.create_decoding_validators(), smime.create_subscriber_validators(*kind)
    ).validate(subject.root)


def lint_pkix(job):
    subject = load(CERTIFICATE, job["file"])
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    ).validate(subject.root)


def lint_crl(job):
    kind = crl.CertificateRevocationListType[job["type"]]
    validity, whole = [], []
    if job["profile"] == "BR":
        whole.append(cabf_crl.CabfCrlReasonCodeAllowlistValidator(kind))
        validity.append(cabf_crl.create_validity_period_validator(kind))
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container(validity),
            crl.create_extensions_validator_container([]),
            *whole,
        ],
    ).validate(load(REVOCATION_LIST, job["file"]).root)


def lint_chain(job):
    documents = {}
    for role in ("issuer", "subject"):
        documents[role] = load(CERTIFICATE, job[role], role, documents)
    decoding = chain_linter.create_decoder_validation_container()
    results = decoding.validate(documents["issuer"].root)
    results += decoding.validate(documents["subject"].root)
    results += chain_linter.create_issuer_validation_container().validate(documents["issuer"].root)
    results += chain_linter.create_subject_validation_container().validate(documents["subject"].root)
    return results


def lint_ocsp(job):
    return ocsp.create_pkix_ocsp_response_validator_container(
        [
            ocsp.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    ).validate(load(RESPONSE, job["file"]).root)


LINTERS = {"smime": lint_smime, "pkix": lint_pkix, "crl": lint_crl, "chain": lint_chain, "ocsp": lint_ocsp}


def findings(results):
    for result in results:
        for description in result.finding_descriptions:
            if description.finding.severity <= THRESHOLD:
                yield {
                    "severity": description.finding.severity.name,
                    "code": description.finding.code,
                    "path": result.node.path if result.node is not None else "",
                    "message": description.message or "",
                }


def lint(job):
    try:
        found = list(findings(LINTERS[job["linter"]](job)))
    except Exception as error:  # a linter that stumbles must not look like a clean result
        found = [{"severity": "FATAL", "code": "lint_all.failed", "path": "", "message": f"{type(error).__name__}: {error}"}]
    return {"name": job["name"], "linter": job["linter"], "findings": found}


def main():
    with sys.stdin if sys.argv[1] == "-" else open(sys.argv[1]) as file:
        jobs = json.load(file)
    json.dump([lint(job) for job in jobs], sys.stdout, indent=1)


if __name__ == "__main__":
    main()
