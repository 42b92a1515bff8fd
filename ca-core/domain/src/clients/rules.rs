//! What is known of each client. A refusal was seen in a test, or follows from a
//! standard or from the maker's documentation; a remark is something to know.

use super::{Client, Facts, Job};

/// Something known of some clients.
pub(super) struct Rule {
    /// Its name, unique and stable.
    pub(super) id: &'static str,
    /// Of whom it is known.
    pub(super) clients: &'static [Client],
    /// For which job.
    pub(super) jobs: &'static [Job],
    /// Whether they refuse; else it is a remark.
    pub(super) refuses: bool,
    /// The test, the document or the standard.
    pub(super) basis: &'static str,
    /// What happens, if the certificate meets it.
    pub(super) check: fn(&Facts<'_>) -> Option<String>,
}

const THUNDERBIRD: &str = "tested with Thunderbird 153";
const GPGSM: &str = "tested with gpgsm and dirmngr 2.2.40";
const BOTH: &[Job] = &[Job::Sign, Job::Encrypt];
const ENCRYPT: &[Job] = &[Job::Encrypt];
const SIGN: &[Job] = &[Job::Sign];
const ALL: &[Client] = &Client::ALL;
const COMPAT: &str = "import the key from a PKCS#12 file of the profile compat; modern is not read";
/// Those that are known to look at revocation.
const CHECKERS: &[Client] = &[Client::Outlook, Client::ExchangeOnline, Client::Thunderbird, Client::Gpgsm];
const UNTESTED: &[Client] = &[Client::Outlook, Client::ExchangeOnline, Client::AppleMail, Client::Android];

const fn refusal(
    id: &'static str,
    clients: &'static [Client],
    jobs: &'static [Job],
    basis: &'static str,
    check: fn(&Facts<'_>) -> Option<String>,
) -> Rule {
    Rule { id, clients, jobs, refuses: true, basis, check }
}

const fn remark(
    id: &'static str,
    clients: &'static [Client],
    jobs: &'static [Job],
    basis: &'static str,
    check: fn(&Facts<'_>) -> Option<String>,
) -> Rule {
    Rule { id, clients, jobs, refuses: false, basis, check }
}

fn when(met: bool, what: &str) -> Option<String> {
    met.then(|| what.to_owned())
}

/// Every rule, those for all clients first.
pub(super) const RULES: &[Rule] = &[
    refusal("validity", ALL, BOTH, "RFC 5280, section 6.1.3", |facts| {
        let outside = facts.path().find(|link| !link.is_valid(facts.now))?;
        Some(format!("{} is not valid on {}", outside.subject(), facts.now))
    }),
    refusal("signature", ALL, BOTH, "RFC 5280, section 6.1.3", |facts| {
        when(facts.forged, "the signature is not that of its issuer's key")
    }),
    refusal("revoked", CHECKERS, BOTH, "OCSP or CRL, where the client can fetch it", |facts| {
        when(facts.revoked, "the certificate was revoked or is on hold")
    }),
    refusal(
        "unknown-critical",
        ALL,
        BOTH,
        "RFC 5280, section 4.2; tested with Thunderbird 153 and gpgsm 2.2.40",
        |facts| {
            let oid = facts.path().find_map(super::facts::Link::unknown_critical)?;
            Some(format!("the critical extension {oid} is not known to clients"))
        },
    ),
    refusal("purpose", ALL, BOTH, "RFC 8550, section 4.4.4; tested with Thunderbird 153 (-8101)", |facts| {
        let other = !facts.has_mail_purpose() && !facts.has_any_purpose();
        when(!facts.authority && other, "the extended key usage is not for mail: it lacks emailProtection")
    }),
    refusal("any-purpose", &[Client::Thunderbird], BOTH, "tested with Thunderbird 153 (-8101)", |facts| {
        let any = facts.has_any_purpose() && !facts.has_mail_purpose();
        when(!facts.authority && any, "anyExtendedKeyUsage alone is rejected; emailProtection is needed")
    }),
    refusal("usage", ALL, BOTH, "RFC 8550, section 4.4.2; dataEncipherment alone was tested", |facts| {
        let none = !facts.is_for(Job::Sign) && !facts.is_for(Job::Encrypt);
        when(none, "the key usage is neither for signing nor for encrypting keys")
    }),
    refusal("no-mailbox", ALL, BOTH, "RFC 8550, section 3", |facts| {
        let none =
            facts.mailboxes().next().is_none() && !facts.has_smtp_utf8() && !facts.has_subject_mailbox();
        when(!facts.authority && none, "there is no mailbox in it: no address ever matches")
    }),
    refusal("smtputf8-alone", &[Client::Thunderbird], BOTH, THUNDERBIRD, |facts| {
        let alone = facts.has_smtp_utf8() && facts.mailboxes().next().is_none();
        when(alone, "it shows \"(no email address)\": SmtpUTF8Mailbox is the only mailbox")
    }),
    refusal("ed25519", &[Client::Thunderbird], BOTH, "tested with Thunderbird 153 (-8016)", |facts| {
        when(facts.is_ed25519(), "an Ed25519 key cannot be imported")
    }),
    refusal("ed25519-gpgsm", &[Client::Gpgsm], BOTH, GPGSM, |facts| {
        when(facts.is_ed25519(), "an Ed25519 certificate is rejected")
    }),
    refusal("ec-encryption", &[Client::Gpgsm], ENCRYPT, GPGSM, |facts| {
        let agreement = facts.is_ec() && !facts.authority;
        when(agreement, "\"Wrong key usage\": it does not encrypt to EC keys (keyAgreement)")
    }),
    refusal("ec-import", &[Client::Gpgsm], SIGN, GPGSM, |facts| {
        when(facts.is_ec() && !facts.authority, "its holder cannot import an EC key from a PKCS#12 file")
    }),
    refusal("ecdsa-crl", &[Client::Gpgsm], BOTH, GPGSM, |facts| {
        let link = facts.path().find(|link| !link.is_root() && link.signed_with_ecdsa())?;
        Some(format!(
            "the issuer of {} has an EC key: dirmngr cannot read its CRL (\"Provided object is too short\")",
            link.subject()
        ))
    }),
    refusal("crl-everywhere", &[Client::Gpgsm], BOTH, "gpgsm 2.2.40 wants a CRL at every level", |facts| {
        let link = facts.path().find(|link| !link.is_root() && !link.names_crl())?;
        Some(format!("{} names no CRL", link.subject()))
    }),
    refusal(
        "fetch-everywhere",
        &[Client::ExchangeOnline],
        BOTH,
        "Exchange Online fetches issuers and CRLs at every level (documentation)",
        |facts| {
            let lacks = |link: &&super::facts::Link<'_>| !link.names_crl() || !link.names_issuer();
            let link = facts.path().filter(|link| !link.is_root()).find(lacks)?;
            Some(format!("{} lacks a CRL distribution point or caIssuers", link.subject()))
        },
    ),
    remark("any-purpose-untested", UNTESTED, BOTH, "not tested", |facts| {
        let any = facts.has_any_purpose() && !facts.has_mail_purpose();
        when(
            !facts.authority && any,
            "anyExtendedKeyUsage without emailProtection: OpenSSL and Thunderbird reject it",
        )
    }),
    remark("smtputf8-untested", UNTESTED, BOTH, "not tested", |facts| {
        let alone = facts.has_smtp_utf8() && facts.mailboxes().next().is_none();
        when(alone, "SmtpUTF8Mailbox is the only mailbox: GnuTLS and Thunderbird find no address")
    }),
    remark("ed25519-untested", UNTESTED, BOTH, "not tested", |facts| {
        when(facts.is_ed25519(), "an Ed25519 key: NSS, gpgsm and OpenSSL's cms do not use it for mail")
    }),
    remark("subject-mailbox", ALL, BOTH, "RFC 8550, section 3", |facts| {
        let subject =
            facts.mailboxes().next().is_none() && !facts.has_smtp_utf8() && facts.has_subject_mailbox();
        when(subject, "the only mailbox is in the subject, where not every client looks")
    }),
    remark("no-ocsp", &[Client::Thunderbird], BOTH, "Thunderbird 153 asks OCSP and reads no CRL", |facts| {
        when(
            !facts.leaf.names_ocsp() && !facts.leaf.is_root(),
            "it does not notice a revocation: no OCSP responder is named",
        )
    }),
    remark("no-crl", &[Client::Outlook], BOTH, "Outlook checks CRLs (documentation)", |facts| {
        when(!facts.leaf.names_crl() && !facts.leaf.is_root(), "it cannot check revocation: no CRL is named")
    }),
    remark("directory", &[Client::Outlook], ENCRYPT, "Outlook's choice from userCertificate", |facts| {
        when(
            !facts.authority && !facts.enciphers_keys(),
            "from a directory it takes certificates with keyEncipherment only, so not this one",
        )
    }),
    remark("letter-case", &[Client::AppleMail], BOTH, "Apple's deployment guide", |facts| {
        let capital = |mailbox: &str| mailbox.bytes().any(|b| b.is_ascii_uppercase());
        let mailbox = facts.mailboxes().find(|mailbox| capital(mailbox))?;
        Some(format!("addresses match by letter case: {mailbox} must be written so in the mail account"))
    }),
    remark("primary-address", &[Client::Android], BOTH, "documentation of Outlook for mobile", |facts| {
        let first = facts.mailboxes().next()?;
        Some(format!("the account's primary SMTP address must be in the certificate; its first is {first}"))
    }),
    remark("compat", &[Client::AppleMail], BOTH, "openssl/openssl#19871", |facts| {
        when(!facts.authority && !facts.is_ed25519(), COMPAT)
    }),
    remark("compat-gpgsm", &[Client::Gpgsm], BOTH, GPGSM, |facts| {
        when(!facts.authority && !facts.is_ed25519() && !facts.is_ec(), COMPAT)
    }),
    remark("collection", &[Client::ExchangeOnline], BOTH, "Set-SmimeConfig (documentation)", |_| {
        Some("root and intermediates must be in its certificate collection (SST)".to_owned())
    }),
    remark("path-unknown", &[Client::ExchangeOnline, Client::Gpgsm], BOTH, "this check", |facts| {
        let complete = facts.path().any(super::facts::Link::is_root);
        when(!complete, "the issuers up to the root were not given, so they were not checked; give --chain")
    }),
];
