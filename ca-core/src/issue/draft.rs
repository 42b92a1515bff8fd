//! One certificate, up to its signature: key, checks, record.

use std::collections::HashMap;
use std::sync::Arc;

use ca_domain::key_check::check_public_key;
use ca_domain::lint::{self, LintContext};
use ca_domain::profile::{self, IssuerContext, SubjectInput};
use ca_domain::template::{Template, TemplateKind};
use ca_domain::{KeyIdentifier, KeyOrigin, SerialNumber, SpkiHash, Timestamp};
use ca_files::StagedFile;
use ca_signing::{SigningKey, SoftwareKey};
use x509_cert::Certificate;

use super::{Prepared, SubjectKey, person};
use crate::authority::{Authority, AuthorityKey};
use crate::certify::{Issuer, Record, Subject, certify, detail_bytes};
use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::publish::object::Objects;
use crate::request::refuse_unapproved;

/// An archived key: where its sealed form waits, and the form's SHA-256.
pub(crate) type Sealed = (StagedFile, [u8; 32]);
/// Seals the key of a certificate for somebody's recovery agents.
pub(crate) type Sealer<'a> = dyn Fn(&SoftwareKey, &Certificate) -> Result<Sealed> + 'a;

/// An issuer with all that its certificates have in common, read once for many.
pub(crate) struct Desk<'a> {
    pub(crate) issuer: &'a AuthorityKey,
    pub(crate) chain: Vec<Vec<u8>>,
    /// Where signed objects for directories go, if the home publishes such.
    objects: Option<Objects>,
    key_id: KeyIdentifier,
    context: IssuerContext,
    /// The keys of authorities, which nobody else may have.
    authorities: HashMap<SpkiHash, String>,
}

/// What a certificate is made from.
pub(crate) struct Draft<'a> {
    pub(crate) template: &'a Template,
    pub(crate) subject: &'a SubjectInput,
    pub(crate) key: &'a SubjectKey,
    pub(crate) days: Option<u32>,
    pub(crate) actor: &'a str,
    /// Archives the key, which is then one made here.
    pub(crate) escrow: Option<&'a Sealer<'a>>,
    /// For the record: the batch and the line of the person there.
    pub(crate) batch: Option<&'a str>,
}

impl<'a> Desk<'a> {
    /// Reads what is needed of the home.
    pub(crate) fn open(home: &Home, issuer: &'a AuthorityKey) -> Result<Self> {
        let authority = &issuer.authority;
        let all = Authority::all(home)?;
        let authorities = all
            .iter()
            .map(|authority| Ok((authority.spki_hash()?, authority.name().to_owned())))
            .collect::<Result<_>>()?;
        Ok(Self {
            issuer,
            chain: authority.full_chain(),
            objects: Objects::wanted(home)?,
            key_id: authority.key_id()?,
            context: authority.issuer_context(home)?,
            authorities,
        })
    }

    /// The object that directories hold of these certificates of one person, staged; none if the home does not
    /// publish such objects or the signing key was not made here.
    pub(crate) fn object(&self, prepared: &[&Prepared], now: Timestamp) -> Result<Option<StagedFile>> {
        match &self.objects {
            Some(objects) => objects.stage(prepared, &self.chain, now),
            None => Ok(None),
        }
    }

    /// Builds, lints and signs a certificate; it is not in the ledger yet.
    pub(crate) fn draft(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Prepared> {
        refuse_unapproved(draft.template)?;
        self.draft_approved(draft, now)
    }

    /// As [`Desk::draft`], for what a second person approved.
    pub(crate) fn draft_approved(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Prepared> {
        let template = draft.template;
        refuse_authority_template(template)?;
        let person = match template.kind() {
            // The same at every renewal: a key stays with one person.
            TemplateKind::OcspSigner => format!("{} OCSP signer", self.issuer.authority.name()),
            _ => person(draft.subject)?,
        };
        let (key, spki_der, key_origin, request) = self.key(draft)?;
        let checked = check_public_key(&spki_der)?;
        if let Some(name) = self.authorities.get(&checked.hash) {
            return Err(AuthorityError::KeyReuse(format!("it is the key of authority {name:?}")));
        }
        let issuer = Issuer {
            certificate: Some((self.issuer.authority.certificate(), &self.context)),
            key: &self.issuer.key,
        };
        let subject = Subject { input: draft.subject, spki_der: &spki_der, days: draft.days };
        let certified = certify(template, &issuer, &subject, now)?;
        let sealed = match (draft.escrow, &key) {
            (Some(seal), Some(key)) => Some(seal(key, &certified.certificate)?),
            (Some(_), None) => {
                return Err(AuthorityError::Refused(
                    "only a key made here can be archived; leave --csr out, or give --no-escrow".into(),
                ));
            }
            (None, _) => None,
        };
        let (archive, escrow) = sealed.map_or((None, None), |(file, hash)| (Some(file), Some(hash)));
        let record = Record {
            authority: self.issuer.authority.name(),
            template,
            person: &person,
            key_origin,
            request,
            escrow,
            batch: draft.batch,
            actor: draft.actor,
        };
        let detail = record.detail(&certified.der);
        let entry = certified.entry(self.key_id, now, detail_bytes(&detail)?);
        let pem = certified.pem()?;
        Ok(Prepared {
            certified,
            key,
            pem,
            key_hash: checked.hash,
            key_id: checked.key_id,
            person,
            archive,
            staged: Vec::new(),
            new_files: Vec::new(),
            entry,
            detail,
        })
    }

    #[expect(clippy::type_complexity, reason = "the four are used at once, in one place")]
    fn key<'d>(
        &self,
        draft: &'d Draft<'_>,
    ) -> Result<(Option<Arc<SoftwareKey>>, Vec<u8>, KeyOrigin, Option<&'d [u8]>)> {
        let template = draft.template;
        Ok(match draft.key {
            SubjectKey::Csr(csr) => {
                template.accept_csr()?;
                (None, csr.public_key_der().to_vec(), KeyOrigin::Csr, Some(csr.der()))
            }
            SubjectKey::Generate(algorithm) => {
                let key = SoftwareKey::generate(template.choose_key(*algorithm)?)?;
                let spki = key.public_key_der().to_vec();
                (Some(Arc::new(key)), spki, KeyOrigin::Generated, None)
            }
            SubjectKey::Made(key) => {
                template.choose_key(Some(key.key_algorithm()))?;
                (Some(Arc::clone(key)), key.public_key_der().to_vec(), KeyOrigin::Generated, None)
            }
            SubjectKey::Known { spki_der, origin } => (None, spki_der.clone(), *origin, None),
        })
    }

    /// What would be refused if this were issued; the key stands for any of its kind.
    pub(crate) fn rehearse(
        &self,
        template: &Template,
        subject: &SubjectInput,
        spki_der: &[u8],
        days: Option<u32>,
        now: Timestamp,
    ) -> Result<()> {
        refuse_authority_template(template)?;
        refuse_unapproved(template)?;
        let serial = SerialNumber::from_random([0x5a; 20]);
        let signature = self.issuer.key.signature_algorithm();
        let context = Some(&self.context);
        let tbs = profile::build(template, context, subject, spki_der, serial, now, days, signature)?;
        let context = LintContext {
            issuer: Some(self.issuer.authority.certificate()),
            conformance: template.conformance(),
            kind: template.kind(),
            now,
        };
        lint::lint(tbs, context)?;
        Ok(())
    }
}

fn refuse_authority_template(template: &Template) -> Result<()> {
    if matches!(template.kind(), TemplateKind::RootCa | TemplateKind::SubordinateCa) {
        return Err(AuthorityError::Refused(format!(
            "template {:?} makes authorities; use `ca authority create`",
            template.name()
        )));
    }
    Ok(())
}
