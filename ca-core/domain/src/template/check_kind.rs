//! What each kind of certificate must and must not have.

use super::check::Problems;
use super::check_keys::names;
use super::file::{At, TemplateFile};
use super::purpose::KeyPurpose;
use super::value::{KeyUsageBit, Marker, Presence, TemplateKind, UrlSource};
use crate::KeyAlgorithm;

/// Purposes that never share a CA or a certificate with S/MIME (S/MIME BR 7.1.2.2 g).
const NOT_WITH_MAIL: [KeyPurpose; 3] =
    [KeyPurpose::CODE_SIGNING, KeyPurpose::SERVER_AUTH, KeyPurpose::TIME_STAMPING];
const CA_BITS: [KeyUsageBit; 2] = [KeyUsageBit::KeyCertSign, KeyUsageBit::CrlSign];

pub(super) fn check_kind(file: &TemplateFile, problems: &mut Problems) {
    let kind = *file.kind;
    check_authority_fields(file, problems);
    check_purposes(file, problems);
    check_services(file, problems);
    check_alt_names(file, problems);
    check_microsoft(file, problems);
    problems.add_if(
        file.subject.is_empty() && kind.is_authority(),
        &file.subject,
        "subject",
        "an authority needs a name (RFC 5280, section 4.1.2.6); add at least common_name",
    );
    problems.add_if(
        !file.smime_capabilities.is_empty() && kind != TemplateKind::User,
        &file.smime_capabilities,
        "smime_capabilities",
        format!("{} certificates receive no mail; only kind user may have this field", kind.name()),
    );
    let ocsp = kind == TemplateKind::OcspSigner;
    problems.add_if(
        ocsp != (*file.ocsp_no_check == Marker::Present),
        &file.ocsp_no_check,
        "ocsp_no_check",
        if ocsp {
            "an OCSP signer's own status cannot be asked (RFC 6960, section 4.2.2.2.1); the allowed value is present"
        } else {
            "only kind ocsp-signer may have this; the allowed value is absent"
        },
    );
    let ed25519 = file.key.algorithms.contains(&KeyAlgorithm::Ed25519);
    problems.add_if(
        ed25519 && kind == TemplateKind::User,
        &file.key.algorithms,
        "key.algorithms",
        "no mail client can use ed25519; use some of rsa-2048, rsa-3072, rsa-4096, p256, p384",
    );
}

fn check_authority_fields(file: &TemplateFile, problems: &mut Problems) {
    let kind = *file.kind;
    for (family, bits) in file.key_usage.listed() {
        let field = format!("key_usage.{}", family.name());
        if kind.is_authority() {
            let allowed = [KeyUsageBit::KeyCertSign, KeyUsageBit::CrlSign, KeyUsageBit::DigitalSignature];
            let complete = CA_BITS.iter().all(|bit| bits.contains(bit));
            problems.add_if(
                !complete || bits.iter().any(|bit| !allowed.contains(bit)),
                bits,
                &field,
                "an authority has keyCertSign and cRLSign, and digitalSignature if it signs OCSP itself",
            );
        } else {
            problems.add_if(
                bits.iter().any(|bit| CA_BITS.contains(bit)),
                bits,
                &field,
                format!("{} are for authorities; kind {} may not have them", names(&CA_BITS), kind.name()),
            );
        }
    }
    if let Some(length) = &file.path_length {
        problems.add_if(
            kind != TemplateKind::SubordinateCa,
            length,
            "path_length",
            "only kind subordinate-ca may limit the path (a root has no limit: S/MIME BR 7.1.2.1); remove the field",
        );
    }
    if let Some(constraints) = &file.name_constraints {
        problems.add_if(
            kind != TemplateKind::SubordinateCa,
            constraints,
            "name_constraints",
            "only kind subordinate-ca may have name constraints (RFC 5280, section 4.2.1.10); remove the field",
        );
    }
    if kind == TemplateKind::RootCa {
        problems.add_if(
            !file.extended_key_usage.is_empty(),
            &file.extended_key_usage,
            "extended_key_usage",
            "a root has no key purposes (S/MIME BR 7.1.2.1); remove the field",
        );
        problems.add_if(
            !file.policies.is_empty(),
            &file.policies,
            "policies",
            "a root has no policies (S/MIME BR 7.1.2.1); remove the field",
        );
    }
}

fn check_purposes(file: &TemplateFile, problems: &mut Problems) {
    let kind = *file.kind;
    let purposes = &file.extended_key_usage;
    let field = "extended_key_usage";
    let needed = match kind {
        TemplateKind::RootCa => return,
        TemplateKind::OcspSigner => Some(KeyPurpose::OCSP_SIGNING),
        TemplateKind::SubordinateCa => None,
        TemplateKind::TlsClient => Some(KeyPurpose::CLIENT_AUTH),
        TemplateKind::TlsServer => Some(KeyPurpose::SERVER_AUTH),
        TemplateKind::User => Some(KeyPurpose::EMAIL_PROTECTION),
    };
    let example = needed.map_or_else(
        || "emailProtection for S/MIME, or serverAuth and clientAuth for TLS".to_owned(),
        |purpose| purpose.to_string(),
    );
    if purposes.is_empty() {
        problems.add(
            purposes,
            field,
            format!("without a key purpose the certificate would serve every purpose; list {example}"),
        );
        return;
    }
    problems.add_if(
        purposes.contains(&KeyPurpose::ANY),
        purposes,
        field,
        format!("anyExtendedKeyUsage makes the certificate serve every purpose; list {example} instead"),
    );
    if let Some(needed) = needed.filter(|needed| !purposes.contains(needed)) {
        problems.add(purposes, field, format!("kind {} needs {needed}; add it", kind.name()));
    }
    let mail = purposes.contains(&KeyPurpose::EMAIL_PROTECTION);
    for other in NOT_WITH_MAIL.into_iter().filter(|other| mail && purposes.contains(other)) {
        problems.add(
            purposes,
            field,
            format!(
                "emailProtection and {other} exclude each other (S/MIME BR 7.1.2.2 and 7.1.2.3); \
                 write a template for each"
            ),
        );
    }
    let tls = matches!(kind, TemplateKind::TlsClient | TemplateKind::TlsServer);
    problems.add_if(
        tls && mail,
        purposes,
        field,
        format!("kind {} is not for mail; use kind user for emailProtection", kind.name()),
    );
    let ocsp = purposes.contains(&KeyPurpose::OCSP_SIGNING);
    problems.add_if(
        kind == TemplateKind::OcspSigner && purposes.len() > 1,
        purposes,
        field,
        "an OCSP signer's key serves nothing else; the allowed value is [OCSPSigning]",
    );
    problems.add_if(
        ocsp && kind != TemplateKind::OcspSigner,
        purposes,
        field,
        "OCSPSigning would let the holder answer for the authority; use kind ocsp-signer",
    );
}

/// Where clients look: every certificate below a root needs it.
fn check_services(file: &TemplateFile, problems: &mut Problems) {
    let root = *file.kind == TemplateKind::RootCa;
    let signer = *file.kind == TemplateKind::OcspSigner;
    let fields: [(&At<UrlSource>, &str); 4] = [
        (&file.cdp, "cdp"),
        (&file.freshest_crl, "freshest_crl"),
        (&file.aia.ca_issuers, "aia.ca_issuers"),
        (&file.aia.ocsp, "aia.ocsp"),
    ];
    for (source, field) in fields {
        problems.add_if(
            root && **source == UrlSource::Authority,
            source,
            field,
            "a root has no issuer to ask; the allowed value is none",
        );
        let needed = !matches!(field, "aia.ocsp" | "freshest_crl") && !signer;
        problems.add_if(
            !root && needed && **source == UrlSource::None,
            source,
            field,
            "clients could not find the issuer or its CRL (Exchange Online, gpgsm); the allowed value is authority",
        );
    }
    problems.add_if(
        *file.freshest_crl == UrlSource::Authority && *file.cdp == UrlSource::None,
        &file.freshest_crl,
        "freshest_crl",
        "a delta CRL is of use only with its base; set cdp: authority",
    );
    problems.add_if(
        signer && *file.aia.ocsp == UrlSource::Authority,
        &file.aia.ocsp,
        "aia.ocsp",
        "the signer would be asked for its own status; the allowed value is none",
    );
}

fn check_alt_names(file: &TemplateFile, problems: &mut Problems) {
    use Presence::{Forbidden, Optional, Required};
    let names = &file.subject_alt_names;
    let (mailboxes, hosts): (&[Presence], &[Presence]) = match *file.kind {
        TemplateKind::OcspSigner | TemplateKind::RootCa | TemplateKind::SubordinateCa => {
            (&[Forbidden], &[Forbidden])
        }
        TemplateKind::TlsClient => (&[Forbidden, Optional, Required], &[Forbidden, Optional, Required]),
        TemplateKind::TlsServer => (&[Forbidden], &[Required]),
        TemplateKind::User => (&[Required], &[Forbidden]),
    };
    for (presence, allowed, field) in
        [(&names.rfc822, mailboxes, "subject_alt_names.rfc822"), (&names.dns, hosts, "subject_alt_names.dns")]
    {
        if !allowed.contains(presence) {
            let word = if allowed == [Required] { "required" } else { "forbidden" };
            problems.add(
                presence,
                field,
                format!("the allowed value for kind {} is {word}", file.kind.name()),
            );
        }
    }
}

/// Users and clients log in to a Windows domain; nobody else does.
fn check_microsoft(file: &TemplateFile, problems: &mut Problems) {
    let kind = file.kind.name();
    let client = matches!(*file.kind, TemplateKind::TlsClient | TemplateKind::User);
    let upn = &file.subject_alt_names.upn;
    problems.add_if(
        !client && **upn != Presence::Forbidden,
        upn,
        "subject_alt_names.upn",
        format!("the allowed value for kind {kind} is forbidden"),
    );
    let Some(microsoft) = &file.microsoft else { return };
    problems.add_if(
        !client,
        microsoft,
        "microsoft",
        format!("only kinds tls-client and user may have this field, not {kind}; remove it"),
    );
    problems.add_if(
        microsoft.template.is_none() && *microsoft.sid == Presence::Forbidden,
        microsoft,
        "microsoft",
        "no extension is asked for; give template, or sid as optional or required, or remove the field",
    );
}
